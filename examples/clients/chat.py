"""Streams one answer from a model behind the gateway, or from a model's own Service.

    pip install openai
    OPENAI_BASE_URL=http://localhost:8000/v1 OPENAI_API_KEY=... python chat.py "Why is the sky blue?"

MODEL names the model; without it the first that the key may use is taken.
"""

import os
import sys

from openai import APIStatusError, OpenAI


def main(question: str) -> int:
    """Prints the answer as it arrives. Returns the exit status."""
    # Base URL and key come from OPENAI_BASE_URL and OPENAI_API_KEY.
    client = OpenAI(
        # The gateway may hold a request while a sleeping model wakes: minutes without a byte are no error.
        timeout=900,
        # 429, 503 and broken connections before the first token are tried again, after Retry-After where there is one.
        max_retries=5,
    )
    model = os.environ.get("MODEL") or next(iter(client.models.list())).id
    try:
        stream = client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": question}],
            max_tokens=256,
            stream=True,
        )
        for chunk in stream:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                print(text, end="", flush=True)
        print()
    except APIStatusError as error:
        # The gateway's errors say what is wrong, and for an unknown model which ones there are.
        print(f"{error.status_code}: {error.message}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:]) or "Why is the sky blue?"))
