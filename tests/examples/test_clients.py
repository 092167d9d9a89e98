"""The example clients, run as a user would, against a server of OpenAI's protocol."""

import contextlib
import importlib.util
import io
import os
import shutil
import subprocess
import sys
from unittest import mock

import pytest

from scripts.cluster.host import install
from scripts.paths import REPO, VENV
from tests.examples.openai_server import KEY, MODEL, WORDS, Server, serving

CLIENTS = REPO / "examples" / "clients"
DENO = VENV / "bin" / "deno"
COMMANDS = {
    "python": [sys.executable, str(CLIENTS / "chat.py")],
    "typescript": [str(DENO), "run", "--no-remote", "--allow-env", "--allow-net", str(CLIENTS / "chat.ts")],
    "curl": [str(CLIENTS / "chat.sh")],
}
QUESTION = """He said: "why?" & {left}"""


def ask(client: str, server: Server, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "OPENAI_BASE_URL": server.base_url,
        "OPENAI_API_KEY": KEY,
        "MODEL": MODEL,
        "NO_COLOR": "1",
        **settings,
    }
    if client == "python":
        return in_process(environment)
    if client == "curl" and (missing := [program for program in ("curl", "jq") if not shutil.which(program)]):
        install(missing, purpose="the curl client")
    command = [*COMMANDS[client], QUESTION]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def in_process(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Calls the Python client without a new interpreter each time: its one slow import happens once."""
    spec = importlib.util.spec_from_file_location("example_chat", CLIENTS / "chat.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    out, err = io.StringIO(), io.StringIO()
    patched = mock.patch.dict(os.environ, environment, clear=True)
    with patched, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = module.main(QUESTION)
    return subprocess.CompletedProcess([], status, out.getvalue(), err.getvalue())


def test_the_python_client_runs_from_a_shell() -> None:
    with serving() as server:
        environment = os.environ | {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": KEY}
        done = subprocess.run(
            [*COMMANDS["python"], QUESTION], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.stdout == "".join(WORDS) + "\n"


@pytest.mark.parametrize("client", COMMANDS)
def test_an_answer_is_streamed_whole(client: str) -> None:
    with serving() as server:
        done = ask(client, server)
    assert done.returncode == 0, done.stderr
    if client == "curl":
        assert done.stdout.rstrip().endswith("data: [DONE]")
    else:
        assert done.stdout == "".join(WORDS) + "\n"


@pytest.mark.parametrize("client", COMMANDS)
def test_a_question_with_quotes_and_braces_arrives_as_it_was_typed(client: str) -> None:
    with serving() as server:
        ask(client, server)
    assert server.asked[0]["messages"][0]["content"] == QUESTION
    assert server.asked[0]["stream"] is True


@pytest.mark.parametrize("client", COMMANDS)
def test_a_refusal_before_the_first_token_is_tried_again(client: str) -> None:
    with serving(refusals=1) as server:
        done = ask(client, server)
    assert done.returncode == 0, done.stderr
    assert len(server.asked) == 1


@pytest.mark.parametrize("client", COMMANDS)
def test_an_error_shows_what_the_gateway_says_and_fails(client: str) -> None:
    with serving() as server:
        done = ask(client, server, MODEL="org/other")
    assert done.returncode != 0
    assert f"there are: {MODEL}" in done.stdout + done.stderr


@pytest.mark.parametrize("client", COMMANDS)
def test_a_wrong_key_is_not_tried_again(client: str) -> None:
    with serving() as server:
        done = ask(client, server, OPENAI_API_KEY="wrong")
    assert done.returncode != 0
    assert "no such key" in done.stdout + done.stderr


@pytest.mark.parametrize("client", ["python", "typescript"])
def test_without_a_model_the_first_that_the_key_may_use_is_taken(client: str) -> None:
    with serving() as server:
        assert ask(client, server, MODEL="").returncode == 0
    assert server.asked[0]["model"] == MODEL


def test_without_a_model_curl_lists_them() -> None:
    with serving() as server:
        assert ask("curl", server, MODEL="").stdout.split() == [MODEL]


def test_a_stream_that_breaks_off_is_no_answer() -> None:
    with serving(breaks=True) as server:
        done = ask("typescript", server)
    assert done.returncode == 1
    assert "the replica died" in done.stderr


def test_the_typescript_client_is_free_of_type_errors() -> None:
    command = [str(DENO), "check", "--no-remote", str(CLIENTS / "chat.ts")]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"}, check=False)
    assert done.returncode == 0, done.stderr
