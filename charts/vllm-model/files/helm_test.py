"""Is this release answering? Run by `helm test` in a pod, with nothing but Python's standard library.

Asks the Service for /health, /v1/models and one short answer, and says what it asked and what came back.

Environment: URL (http://service:port, or https: whose certificate is not verified), MODEL (the name to ask for), TASK
(chat, completion or embedding), API_KEY (optional), WAIT_SECONDS (for a Service that refuses connections),
TIMEOUT_SECONDS (of one answer).
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

URL = os.environ["URL"]
MODEL = os.environ["MODEL"]
REQUESTS = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8}),
    "completion": ("/v1/completions", {"prompt": "Hello", "max_tokens": 8}),
    "embedding": ("/v1/embeddings", {"input": "Hello"}),
}
# Whether it answers is asked here, not who it is: the pod of this test knows no certificate authority of the user's.
UNVERIFIED = ssl._create_unverified_context()  # noqa: S323


def ask(path, body=None):
    """The answer to one request as bytes. Raises URLError and HTTPError as urllib does."""
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get("API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    # The URL is the chart's own, of a Service: no other scheme can come in.
    request = urllib.request.Request(URL + path, data=data, headers=headers)  # noqa: S310
    timeout = float(os.environ["TIMEOUT_SECONDS"])
    with urllib.request.urlopen(request, timeout=timeout, context=UNVERIFIED) as answer:  # noqa: S310
        return answer.read()


def wait_for_service(deadline):
    """Ends when /health answers 200. A Service refuses connections until its first endpoint has reached every node."""
    said = False
    while True:
        try:
            return ask("/health")
        except urllib.error.HTTPError as error:
            raise SystemExit(f"/health: HTTP {error.code}. The engine is dead; see its logs.") from error
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise SystemExit(
                    f"{URL} does not answer: {error}. No replica is ready: it still loads, or the model sleeps at zero."
                ) from error
            if not said:
                print(f"... {URL} does not answer yet: {error}", flush=True)
            said = True
            time.sleep(1)


def main():
    wait_for_service(time.monotonic() + float(os.environ["WAIT_SECONDS"]))
    print("ok  /health", flush=True)
    names = [model["id"] for model in json.loads(ask("/v1/models"))["data"]]
    if MODEL not in names:
        raise SystemExit(f"/v1/models: {MODEL!r} is not served; {names} are.")
    print("ok  /v1/models", names, flush=True)
    path, body = REQUESTS[os.environ["TASK"]]
    began = time.monotonic()
    answer = json.loads(ask(path, {"model": MODEL, **body}))
    if not (answer.get("choices") or answer.get("data")):
        raise SystemExit(f"{path}: the answer holds nothing: {answer}")
    print(f"ok  {path} in {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    try:
        main()
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.url}: HTTP {error.code}: {error.read().decode(errors='replace')[:2000]}")
    except (urllib.error.URLError, OSError) as error:
        sys.exit(f"{URL}: {error}")
