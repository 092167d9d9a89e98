"""Sends requests to an OpenAI-compatible server and says what became of each one.

It uses the standard library only, so that it also runs where no package is: on a node, or in a pod of any Python image.
``vllm-charts bench traffic`` is the command for people; tests start this file as a process of its own::

    python -I load.py --url http://127.0.0.1:8000 --model tiny --seconds 60 --rate 20 --streams 100

Every line of its output is a JSON object: ``{"kind": "status"}`` once a second, ``{"kind": "request"}`` for each
request that has ended. Times are Unix time in seconds. With ``--control`` it reads commands from its standard input:
``burst N TOKENS GROUP`` starts N streams at once, ``leave`` makes their clients hang up, ``stop`` (or the end of the
input) starts no more, and the process ends when the last request has.

Fates:
    ok           a whole answer, and the one that was expected
    refused      an error status before any token
    unreachable  no answer at all: the connection failed, or was closed before the first byte
    error        a stream that ended with an error event
    cut          an answer that ended without its end, or was given up after ``--limit`` seconds
    wrong        a whole answer that is not the expected one
    left         given up on purpose: the client was told to leave
"""

import argparse
import asyncio
import json
import os
import random
import signal
import ssl
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

WORDS = (
    *("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron"),
    *("indigo", "juniper", "kestrel", "lagoon", "meadow", "nectar", "opal", "pine"),
)
CONNECT_SECONDS = 5.0
CHUNK = 65536


def fnv1a(text: str) -> int:
    """The 32-bit FNV-1a hash, as in Go's hash/fnv."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def known_answer(prompt: str, tokens: int) -> str:
    """What the engine's double says to a prompt."""
    seed = fnv1a(prompt)
    return " ".join(WORDS[(seed + index) % len(WORDS)] for index in range(tokens))


@dataclass
class Request:
    """One request and its fate.

    Attributes:
        group: what it was sent for: ``short``, ``stream`` (long, renewed as it ends), or the group of a burst.
        started, first, ended: Unix time in seconds; ``first`` is the first token's, 0 if there was none.
        largest_gap: longest silence between two tokens, in seconds.
    """

    number: int
    group: str
    stream: bool
    tokens: int
    started: float = 0.0
    first: float = 0.0
    ended: float = 0.0
    received: int = 0
    largest_gap: float = 0.0
    status: int = 0
    fate: str = ""
    detail: str = ""
    retry_after: str = ""
    reused: bool = False


class Failed(Exception):  # noqa: N818 (a fate, told by raising it, not an error of this program)
    """A request did not end well: its fate and why."""

    def __init__(self, fate: str, detail: str) -> None:
        super().__init__(detail)
        self.fate, self.detail = fate, detail


class Connection(NamedTuple):
    """A connection to the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def close(self) -> None:
        self.writer.close()


class Server:
    """Where requests go to, and the connections that are kept open."""

    def __init__(self, url: str, key: str, *, keep: bool) -> None:
        parts = urlsplit(url)
        self.host, self.base = parts.hostname or "", parts.path.rstrip("/")
        self.tls = ssl.create_default_context() if parts.scheme == "https" else None
        self.port = parts.port or (443 if self.tls else 80)
        self.authority, self.key, self.keep = parts.netloc, key, keep
        self.idle: list[tuple[float, Connection]] = []

    async def connect(self) -> tuple[Connection, bool]:
        """A connection, and whether it has been used before. vLLM closes idle ones after 5 s; clients do before."""
        while self.idle:
            since, connection = self.idle.pop()
            if time.monotonic() - since < 4 and not connection.reader.at_eof():
                return connection, True
            connection.close()
        opening = asyncio.open_connection(self.host, self.port, ssl=self.tls, limit=1 << 20)
        return Connection(*await asyncio.wait_for(opening, CONNECT_SECONDS)), False

    def give_back(self, connection: Connection) -> None:
        """Takes a connection whose answer was read to its end."""
        if self.keep:
            self.idle.append((time.monotonic(), connection))
        else:
            connection.close()

    def head(self, path: str, body: bytes) -> bytes:
        """The request as it goes over the wire, up to its body."""
        lines = [f"POST {self.base}{path} HTTP/1.1", f"Host: {self.authority}", f"Content-Length: {len(body)}"]
        lines += ["Content-Type: application/json", f"Connection: {'keep-alive' if self.keep else 'close'}"]
        lines += [f"Authorization: Bearer {self.key}"] if self.key else []
        return "\r\n".join([*lines, "", ""]).encode()


class Answer:
    """Reads one answer: status, headers, body as it comes."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.reader, self.status, self.headers = reader, 0, dict[str, str]()

    async def read_head(self) -> None:
        """Raises Failed(unreachable) if the server closes before it says anything."""
        line = await self.reader.readline()
        if not line:
            raise Failed("unreachable", "the connection was closed before an answer")
        self.status = int(line.split()[1])
        while (line := await self.reader.readline()) not in (b"\r\n", b"\n"):
            if not line:
                raise Failed("cut", "the connection was closed inside the headers")
            name, _, value = line.decode("latin-1").partition(":")
            self.headers[name.strip().lower()] = value.strip()

    async def body(self) -> AsyncIterator[bytes]:
        """Pieces of the body. Raises Failed(cut) if it ends before its end."""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int((await self._line()).split(b";")[0], 16):
                yield await self._exactly(size)
                await self._exactly(2)
            await self._line()
        elif "content-length" in self.headers:
            yield await self._exactly(int(self.headers["content-length"]))
        else:
            while piece := await self.reader.read(CHUNK):
                yield piece

    async def _line(self) -> bytes:
        line = await self.reader.readline()
        if not line.endswith(b"\n"):
            raise Failed("cut", "the connection was closed inside the answer")
        return line.strip()

    async def _exactly(self, size: int) -> bytes:
        try:
            return await self.reader.readexactly(size)
        except asyncio.IncompleteReadError:
            raise Failed("cut", "the connection was closed inside the answer") from None


class Client:
    """Sends requests and judges their answers.

    Args:
        answers: ``known`` compares the text with what the double must say; ``counted`` compares the number of tokens,
            which is all that can be known of a model with random weights whose batches change.
        limit: seconds after which a request is given up.
    """

    def __init__(self, server: Server, model: str, *, answers: str, limit: float) -> None:
        self.server, self.model, self.answers, self.limit = server, model, answers, limit

    async def send(self, request: Request) -> Request:
        """Sends a request and fills in what became of it; raises nothing."""
        request.started = time.time()
        try:
            await asyncio.wait_for(self._exchange(request), self.limit)
            request.fate = "ok"
        except Failed as failed:
            request.fate, request.detail = failed.fate, failed.detail[:200]
        except asyncio.CancelledError:
            request.fate = "left"
        except TimeoutError:
            request.fate, request.detail = self.silence(request), f"given up after {self.limit:g} s"
        except (OSError, ValueError) as error:
            request.fate = self.silence(request)
            request.detail = f"{type(error).__name__}: {error}"[:200]
        request.ended = time.time()
        return request

    @staticmethod
    def silence(request: Request) -> str:
        """What a connection that fails means for a request."""
        return "cut" if request.status else "unreachable"

    def _body(self, request: Request, prompt: str) -> bytes:
        asked: dict[str, Any] = {"model": self.model, "max_tokens": request.tokens, "stream": request.stream}
        asked |= {"messages": [{"role": "user", "content": prompt}], "temperature": 0, "ignore_eos": True}
        if request.stream:
            asked["stream_options"] = {"include_usage": True}
        return json.dumps(asked).encode()

    async def _exchange(self, request: Request) -> None:
        prompt = f"request {request.number} of {self.model}"
        body = self._body(request, prompt)
        connection, request.reused = await self.server.connect()
        whole = False
        try:
            connection.writer.write(self.server.head("/v1/chat/completions", body) + body)
            await connection.writer.drain()
            answer = Answer(connection.reader)
            await answer.read_head()
            request.status, request.retry_after = answer.status, answer.headers.get("retry-after", "")
            if answer.status != 200:
                said = b"".join([piece async for piece in answer.body()])
                raise Failed("refused", f"HTTP {answer.status}: {said.decode(errors='replace')}")
            text, counted = await (self._stream if request.stream else self._document)(request, answer)
            whole = answer.headers.get("connection", "").lower() != "close"
            self._judge(request, prompt, text, counted)
        finally:
            if whole:
                self.server.give_back(connection)
            else:
                connection.close()

    async def _document(self, request: Request, answer: Answer) -> tuple[str, int]:
        body = json.loads(b"".join([piece async for piece in answer.body()]))
        request.first = time.time()
        request.received = body["usage"]["completion_tokens"]
        return body["choices"][0]["message"]["content"] or "", request.received

    async def _stream(self, request: Request, answer: Answer) -> tuple[str, int]:
        """Reads events up to ``[DONE]``. Raises Failed(error) at an error event, Failed(cut) if the end is missing."""
        text, counted, last, done = [], -1, 0.0, False
        async for event in events(answer):
            if event == "[DONE]":
                done = True
                continue
            chunk = json.loads(event)
            if "error" in chunk:
                raise Failed("error", json.dumps(chunk["error"]))
            if usage := chunk.get("usage"):
                counted = usage["completion_tokens"]
            if chunk["choices"] and (piece := chunk["choices"][0]["delta"].get("content")):
                now = time.time()
                request.first = request.first or now
                request.largest_gap = max(request.largest_gap, now - last if last else 0.0)
                request.received, last = request.received + 1, now
                text.append(piece)
        if not done:
            raise Failed("cut", "the stream ended without [DONE]")
        return "".join(text), counted

    def _judge(self, request: Request, prompt: str, text: str, counted: int) -> None:
        if counted != request.tokens:
            raise Failed("wrong", f"{counted} tokens instead of {request.tokens}")
        if self.answers == "known" and text != known_answer(prompt, request.tokens):
            raise Failed("wrong", f"another answer than the known one: {text[:80]}")


async def events(answer: Answer) -> AsyncIterator[str]:
    """The data of server-sent events, whatever pieces they come in."""
    buffer = b""
    async for piece in answer.body():
        buffer += piece
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip().decode()


class Load:
    """Keeps the load that was asked for until it is told to stop."""

    def __init__(self, arguments: argparse.Namespace, client: Client) -> None:
        self.arguments, self.client = arguments, client
        self.random = random.Random(arguments.seed)
        self.number = 0
        self.tasks: dict[asyncio.Task[None], Request] = {}
        self.fates: Counter[str] = Counter()
        self.stopped = asyncio.Event()

    def start(self, group: str, *, stream: bool, tokens: int) -> asyncio.Task[None]:
        """Starts one request."""
        self.number += 1
        request = Request(self.number, group, stream, tokens)
        task = asyncio.ensure_future(self._run(request))
        self.tasks[task] = request
        task.add_done_callback(lambda done: self.tasks.pop(done, None))
        return task

    async def _run(self, request: Request) -> None:
        await self.client.send(request)
        self.fates[request.fate] += 1
        say("request", **asdict(request))

    def start_short(self) -> asyncio.Task[None]:
        """A short request, streamed or not as the share says."""
        stream = self.random.random() < self.arguments.stream_share
        return self.start("short", stream=stream, tokens=self.arguments.tokens)

    async def clients(self) -> None:
        """A client that sends its next request when the last one has ended. Failures do not make it faster."""
        await self.pause(self.random.random())
        while not self.stopped.is_set():
            began = time.monotonic()
            await self.start_short()
            await self.pause(max(0.0, 0.05 - (time.monotonic() - began)))

    async def open_loop(self) -> None:
        """Starts requests at the rate of the profile, whatever becomes of them (times of a Poisson process)."""
        began = time.monotonic()
        while not self.stopped.is_set():
            rate = rate_at(self.arguments.rate, time.monotonic() - began)
            if rate <= 0:
                await self.pause(0.1)
                continue
            self.start_short()
            await self.pause(self.random.expovariate(rate))

    async def long_streams(self) -> None:
        """A client with one long stream after another; the first ones start spread over a time."""
        await self.pause(self.random.random() * self.arguments.spread)
        while not self.stopped.is_set():
            began = time.monotonic()
            await self.start("stream", stream=True, tokens=self.arguments.stream_tokens)
            await self.pause(max(0.0, 0.5 - (time.monotonic() - began)))

    async def pause(self, seconds: float) -> None:
        """Sleeps, but not past the stop."""
        try:
            await asyncio.wait_for(self.stopped.wait(), seconds)
        except TimeoutError:
            return

    async def status(self) -> None:
        """Says once a second what is under way."""
        while True:
            running = Counter(request.group for request in self.tasks.values() if request.first or not request.stream)
            say("status", time=time.time(), in_flight=len(self.tasks), running=running, ended=self.fates)
            await asyncio.sleep(1)

    def command(self, line: str) -> None:
        """A line of the standard input; empty at its end."""
        word, *rest = line.split() or ["stop"]
        if word == "burst":
            tokens = int(rest[1]) if len(rest) > 1 else self.arguments.tokens
            for _ in range(int(rest[0])):
                self.start(rest[2] if len(rest) > 2 else "burst", stream=True, tokens=tokens)
        elif word == "leave":
            for task, request in list(self.tasks.items()):
                if request.group == "burst":
                    task.cancel()
        else:
            self.stopped.set()

    async def run(self) -> None:
        """The whole run: load until stopped, then waits for what is in flight."""
        asked, loop = self.arguments, asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stopped.set)
        if asked.control:
            await read_commands(self.command)
        makers: list[Callable[[], Awaitable[None]]] = [self.clients] * asked.clients
        makers += [self.open_loop] if any(rate for _, rate in asked.rate) else []
        makers += [self.long_streams] * asked.streams
        status = asyncio.ensure_future(self.status())
        running = [asyncio.ensure_future(maker()) for maker in makers]
        await self.pause(asked.seconds or 1e9)
        self.stopped.set()
        await asyncio.gather(*running)
        while self.tasks:
            await asyncio.wait(list(self.tasks))
        status.cancel()


async def read_commands(handle: Callable[[str], None]) -> None:
    """Hands lines of the standard input to the handler, and an empty one at its end."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def read() -> None:
        while line := await reader.readline():
            handle(line.decode())
        handle("")

    _tasks.add(asyncio.ensure_future(read()))


_tasks: set["asyncio.Future[None]"] = set()
"""Tasks that nobody awaits; asyncio itself holds them only weakly."""


def rate_at(profile: list[tuple[float, float]], elapsed: float) -> float:
    """Requests per second at a time: straight lines between the points of the profile, level after the last."""
    before = profile[0]
    for point in profile:
        if point[0] > elapsed:
            if point[0] == before[0]:
                return point[1]
            share = (elapsed - before[0]) / (point[0] - before[0])
            return before[1] + share * (point[1] - before[1])
        before = point
    return before[1]


def parse_profile(text: str) -> list[tuple[float, float]]:
    """``20`` or ``0:2,30:20,90:20``: seconds and requests per second. A step is two points at nearly the same time."""
    if ":" not in text:
        return [(0.0, float(text))]
    points = [tuple(map(float, part.split(":"))) for part in text.split(",")]
    return sorted((point[0], point[1]) for point in points)


def say(kind: str, **values: Any) -> None:
    """One line of output."""
    print(json.dumps({"kind": kind, **values}), flush=True)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Send requests and say what became of each.")
    add = parser.add_argument
    add("--url", required=True, help="base URL, without /v1")
    add("--model", required=True)
    add("--key-variable", default="OPENAI_API_KEY", help="environment variable that holds the API key")
    add("--seconds", type=float, default=0, help="0: until told to stop")
    add("--rate", type=parse_profile, default=[(0.0, 0.0)], help="short requests per second: 20, or 0:2,30:20")
    add("--clients", type=int, default=0, help="clients that send one short request after another")
    add("--tokens", type=int, default=16, help="tokens of a short request")
    add("--stream-share", type=float, default=0.5, help="share of short requests that are streamed")
    add("--streams", type=int, default=0, help="long streams in flight at all times")
    add("--stream-tokens", type=int, default=200)
    add("--spread", type=float, default=10.0, help="seconds over which the first long streams start")
    add("--answers", choices=["known", "counted"], default="counted")
    add("--connections", choices=["new", "keep"], default="new", help="a connection for each request, or kept open")
    add("--limit", type=float, default=300, help="seconds after which a request is given up")
    add("--seed", type=int, default=1)
    add("--control", action="store_true", help="read commands from the standard input")
    return parser.parse_args(arguments)


def main() -> None:
    """Runs the load of the command line."""
    arguments = parse()
    key = os.environ.get(arguments.key_variable, "")
    server = Server(arguments.url, key, keep=arguments.connections == "keep")
    client = Client(server, arguments.model, answers=arguments.answers, limit=arguments.limit)

    async def run() -> None:
        await Load(arguments, client).run()

    asyncio.run(run())


if __name__ == "__main__":
    main()
