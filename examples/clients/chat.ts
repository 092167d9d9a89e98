// Streams one answer from a model behind the gateway, or from a model's own Service. No package is needed.
//
//   OPENAI_BASE_URL=http://localhost:8000/v1 OPENAI_API_KEY=... node chat.ts "Why is the sky blue?"
//
// Node 22.18 and newer run TypeScript as it is; so do Deno (deno run --allow-env --allow-net chat.ts) and Bun.
// MODEL names the model; without it the first that the key may use is taken.
import process from "node:process";

const base = process.env.OPENAI_BASE_URL || "http://localhost:8000/v1";
const headers = {
  "authorization": `Bearer ${process.env.OPENAI_API_KEY ?? ""}`,
  "content-type": "application/json",
};
const attempts = 5;

/** A request that is tried again while the server says "not now" (429, 503), after as long as it asks for. */
async function request(path: string, body?: unknown): Promise<Response> {
  for (let attempt = 1;; attempt++) {
    const answer = await fetch(`${base}${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      // The gateway may hold a request while a sleeping model wakes: minutes without a byte are no error.
      signal: AbortSignal.timeout(900_000),
    });
    if (answer.ok) return answer;
    const text = await answer.text();
    if (![429, 503].includes(answer.status) || attempt === attempts) {
      throw new Error(`${answer.status}: ${text}`);
    }
    const seconds = Number(answer.headers.get("retry-after") ?? attempt);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
}

/** The data of each server-sent event, as it arrives. An event may be cut anywhere by the network. */
async function* events(answer: Response): AsyncGenerator<string> {
  let rest = "";
  for await (const part of answer.body!.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + part).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("data: ")) yield line.slice("data: ".length).trim();
    }
  }
}

async function firstModel(): Promise<string> {
  const listed = await (await request("/models")).json() as { data: { id: string }[] };
  return listed.data[0].id;
}

const question = process.argv.slice(2).join(" ") || "Why is the sky blue?";
try {
  const answer = await request("/chat/completions", {
    model: process.env.MODEL || await firstModel(),
    messages: [{ role: "user", content: question }],
    max_tokens: 256,
    stream: true,
  });
  for await (const data of events(answer)) {
    if (data === "[DONE]") break;
    const chunk = JSON.parse(data) as { choices: { delta: { content?: string } }[]; error?: { message: string } };
    // A replica that dies mid-stream ends with an error in the stream: what was printed is not the whole answer.
    if (chunk.error) throw new Error(chunk.error.message);
    process.stdout.write(chunk.choices[0]?.delta.content ?? "");
  }
  process.stdout.write("\n");
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
