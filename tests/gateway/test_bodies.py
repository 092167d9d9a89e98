"""Bodies: what is too large to read the model from, and the ways round."""

import socket

import httpx
import pytest

from tests.gateway.conftest import MakeWorld, World, code

KIB = 1024


@pytest.fixture
def small(make_world: MakeWorld) -> World:
    """A gateway that reads bodies up to 64 KiB and takes them up to 1 MiB."""
    gateway = {
        "limits": {"readableBodyKiB": 64, "maxBodyMiB": 1},
        "externalModels": {"tiny": {"servedNames": ["tiny", "tiny-sql"]}, "large": {}},
    }
    tenants = {"team-a": {"models": ["tiny"]}, "team-b": {"models": ["*"]}, "team-c": {"models": ["tiny-sql"]}}
    keys = {"key-a": "team-a", "key-b": "team-b", "key-c": "team-c"}
    world = make_world({"gateway": gateway, "tenants": tenants}, keys=keys)
    world.pods("tiny")
    return world


def body(size: int, *, model: str = "tiny", last: bool = False) -> str:
    """A JSON body of about ``size`` bytes with the model at its beginning or end."""
    filler = f'"messages":[{{"role":"user","content":"{"x" * size}"}}]'
    return f'{{{filler},"model":"{model}"}}' if last else f'{{"model":"{model}",{filler}}}'


@pytest.mark.parametrize("last", [False, True])
def test_a_body_that_can_be_read_is_routed_wherever_the_model_stands(small: World, last: bool) -> None:
    assert small.ask(content=body(60 * KIB, last=last)).status_code == 200


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("size", [70 * KIB, 900 * KIB])
def test_a_body_too_large_to_read_the_model_from_is_413(small: World, last: bool, size: int) -> None:
    answer = small.ask(content=body(size, last=last))
    assert code(answer) == (413, "body_too_large_to_route")
    assert "x-model" in answer.json()["error"]["message"]


@pytest.mark.parametrize("way", [{"headers": {"x-model": "tiny"}}, {"path": "/models/tiny/v1/chat/completions"}])
def test_a_large_body_passes_whole_where_header_or_path_name_the_model(small: World, way: dict[str, str]) -> None:
    content = body(900 * KIB)
    assert small.ask(content=content, **way).json()["size"] == len(content)


def test_a_body_over_the_limit_is_413_whatever_names_the_model(small: World) -> None:
    answer = small.ask(content=body(1100 * KIB), headers={"x-model": "tiny"})
    assert code(answer) == (413, "body_too_large")


def test_an_unread_body_needs_the_right_to_every_name_of_the_model(small: World) -> None:
    answer = small.ask(key="key-c", content=body(900 * KIB, model="tiny"), headers={"x-model": "tiny-sql"})
    assert code(answer) == (403, "model_not_allowed")


def test_a_read_body_needs_only_the_right_to_the_name_it_says(small: World) -> None:
    assert small.ask("tiny-sql", "key-c").status_code == 200
    assert code(small.ask("tiny", "key-c", headers={"x-model": "tiny-sql"})) == (403, "model_not_allowed")


def test_multipart_passes_where_the_header_names_the_model(small: World) -> None:
    answer = small.client.post(
        "/v1/embeddings",
        headers={"authorization": "Bearer key-a", "x-model": "tiny"},
        files={"file": ("a.wav", b"\0" * 500 * KIB)},
    )
    assert answer.status_code == 200


def chunks(text: str) -> object:
    return (text[start : start + 8000].encode() for start in range(0, len(text), 8000))


def test_a_chunked_body_that_can_be_read_is_routed(small: World) -> None:
    assert small.ask(content=chunks(body(50 * KIB, last=True))).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"x-model": "tiny"}])
def test_a_chunked_body_that_cannot_be_read_is_413(small: World, headers: dict[str, str]) -> None:
    try:
        answer = small.ask(content=chunks(body(300 * KIB)), headers=headers)
    except httpx.WriteError:  # it hung up on a client that does not stop sending
        return
    assert code(answer) == (413, "body_too_large_to_route")


def test_a_second_model_cannot_hide_behind_the_end_of_what_is_read(small: World) -> None:
    hidden = '{"model":"tiny-sql","x":"' + "x" * 200 * KIB + '","model":"tiny"}'
    assert small.ask(key="key-c", content=hidden).status_code == 413
    assert small.ask(key="key-c", content=hidden, headers={"x-model": "tiny-sql"}).status_code == 403


def test_nobody_without_a_key_makes_the_gateway_wait_for_a_body(small: World) -> None:
    with socket.create_connection(("127.0.0.1", small.ports["api"]), timeout=5) as client:
        client.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 50000\r\n\r\n{")
        assert client.recv(100).startswith(b"HTTP/1.1 401")
