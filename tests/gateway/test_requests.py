"""A request on its way: paths, keys, models, and the errors that say what is wrong."""

import json

import httpx
import pytest

from tests.gateway.conftest import World, code

PATHS = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"]


@pytest.mark.parametrize("path", PATHS)
def test_every_listed_path_reaches_the_model(shared: World, path: str) -> None:
    answer = shared.ask(path=path)
    assert (answer.status_code, answer.json()["path"]) == (200, path)


@pytest.mark.parametrize(
    "path", ["/invocations", "/tokenize", "/v1/score", "/metrics", "/", "/v1/chat/completions/", "//v1/completions"]
)
def test_a_path_that_is_not_listed_is_404(shared: World, path: str) -> None:
    assert code(shared.ask(path=path)) == (404, "unknown_path")


def test_a_listed_path_with_another_method_is_405(shared: World) -> None:
    answer = shared.client.get("/v1/chat/completions", headers={"authorization": "Bearer key-a"})
    assert code(answer) == (405, "method_not_allowed")


@pytest.mark.parametrize("key", [None, "wrong", ""])
def test_without_a_known_key_there_is_401(shared: World, key: str | None) -> None:
    assert code(shared.ask(key=key)) == (401, "invalid_api_key")


def test_the_body_names_the_model(shared: World) -> None:
    assert shared.ask("tiny", "key-b").json()["served_by"] != shared.ask("large", "key-b").json()["served_by"]


def test_an_unknown_model_is_404_and_says_which_exist(shared: World) -> None:
    answer = shared.ask("none", "key-b")
    assert code(answer) == (404, "model_not_found")
    assert "There are: large, tiny." in answer.json()["error"]["message"]


def test_an_unknown_model_is_told_only_what_the_tenant_may_use(shared: World) -> None:
    assert "There are: tiny." in shared.ask("none", "key-a").json()["error"]["message"]


def test_a_model_of_others_is_403(shared: World) -> None:
    answer = shared.ask("large", "key-a")
    assert code(answer) == (403, "model_not_allowed")
    assert answer.json()["error"]["message"] == "Tenant team-a may not use the model large."


def test_a_request_without_a_model_is_400(shared: World) -> None:
    assert code(shared.ask(None)) == (400, "model_required")


def test_the_path_may_name_the_model(shared: World) -> None:
    answer = shared.ask(None, path="/models/tiny/v1/chat/completions")
    assert (answer.status_code, answer.json()["path"]) == (200, "/v1/chat/completions")


def test_the_header_may_name_the_model(shared: World) -> None:
    assert shared.ask(None, headers={"x-model": "tiny"}).status_code == 200


def test_path_and_body_must_agree(shared: World) -> None:
    assert code(shared.ask("large", "key-b", path="/models/tiny/v1/chat/completions")) == (400, "model_mismatch")


def test_naming_an_allowed_model_in_the_path_opens_no_other(shared: World) -> None:
    assert shared.ask("large", "key-a", path="/models/tiny/v1/chat/completions").status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        '{"model":"tiny","model":"large"}',
        '{"model":"tiny","messages":[{"content":"x"}],"model" : "large"}',
        '{"model":"tiny","mod\\u0065l":"large"}',
        '{"\\u006dodel":"large","model":"tiny"}',
        '{"model":"tiny","metadata":{"model":1},"model":"large"}',
    ],
)
def test_a_body_with_two_models_is_refused(shared: World, body: str) -> None:
    assert code(shared.ask(content=body)) == (400, "duplicate_model")


@pytest.mark.parametrize(
    "body",
    [
        {"model": "tiny", "tools": [{"function": {"parameters": {"properties": {"model": {"type": "string"}}}}}]},
        {"metadata": {"model": "large"}, "model": "tiny"},
        {"model": "tiny", "messages": [{"content": '{"model": "large"} and "model":"large"'}]},
        {"model": "tiny", "stop": ["model", "model"]},
        {"messages": [{"content": "ends in \\"}], "model": "tiny", "user": "model"},
    ],
)
def test_the_word_model_elsewhere_in_a_body_is_no_second_model(shared: World, body: dict[str, object]) -> None:
    assert shared.ask(content=json.dumps(body)).status_code == 200


def test_a_body_that_is_no_json_is_400(shared: World) -> None:
    assert code(shared.ask(content="not json")) == (400, "model_required")


def test_a_model_that_is_no_string_is_not_found(shared: World) -> None:
    assert shared.ask(content='{"model":["tiny"]}').status_code in (400, 404)


def test_errors_escape_what_they_repeat(shared: World) -> None:
    assert '\\"><' in shared.ask('"><').text


def test_a_client_cannot_claim_a_tenant(shared: World) -> None:
    assert code(shared.ask("large", "key-a", headers={"x-tenant": "team-b"})) == (403, "model_not_allowed")


def test_the_request_id_of_the_client_is_kept(shared: World) -> None:
    assert shared.ask(headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"


def test_a_request_id_that_is_none_is_replaced(shared: World) -> None:
    answer = shared.ask(headers={"x-request-id": 'x","tenant":"other'})
    assert len(answer.headers["x-request-id"]) == 36


def test_headers_over_32_kib_are_431(shared: World) -> None:
    assert code(shared.ask(headers={"x-large": "x" * 40_000})) == (431, "headers_too_large")


def test_models_lists_what_the_tenant_may_use(shared: World) -> None:
    answer = shared.client.get("/v1/models", headers={"authorization": "Bearer key-a"}).json()
    assert answer["object"] == "list"
    assert [model["id"] for model in answer["data"]] == ["tiny"]


def test_models_lists_everything_to_who_may_use_everything(shared: World) -> None:
    answer = shared.client.get("/v1/models", headers={"authorization": "Bearer key-b"}).json()
    assert [model["id"] for model in answer["data"]] == ["large", "tiny"]


def test_one_model_can_be_looked_up(shared: World) -> None:
    answer = shared.client.get("/v1/models/tiny", headers={"authorization": "Bearer key-a"})
    assert (answer.status_code, answer.json()["id"]) == (200, "tiny")


@pytest.mark.parametrize("name", ["large", "none"])
def test_a_model_that_is_not_there_for_the_tenant_cannot_be_looked_up(shared: World, name: str) -> None:
    answer = shared.client.get(f"/v1/models/{name}", headers={"authorization": "Bearer key-a"})
    assert code(answer) == (404, "model_not_found")


def test_health_needs_no_key(shared: World) -> None:
    assert httpx.get(f"{shared.url}/healthz").status_code == 200
