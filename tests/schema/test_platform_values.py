"""Values of the platform that would become a part of HAProxy's configuration, or a name, that means something else."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.schema.generate import ChartSchema
from scripts.schema.validate import schema_of, validator
from scripts.schema.values import coalesce
from tests.schema import probe

Values = dict[str, Any]


def gateway(**values: Any) -> Values:
    return {"gateway": values}


def jwt(**values: Any) -> Values:
    return gateway(auth={"jwt": values})


def external(**values: Any) -> Values:
    return gateway(externalModels={"other": {"servedNames": ["other"], **values}})


GOOD: list[Values] = [
    gateway(paths=["/v1/rerank", "/v1/audio/speech-2_a~b.c"]),
    gateway(paths=[f"/v1/{number}" for number in range(50)]),
    jwt(issuer="https://login.example.com/realms/main?x=1&y", audience="api://llm"),
    jwt(issuer="", audience=""),
    gateway(dns={"nameservers": ["10.96.0.10:53", "[fd00::a]:53", "tcp@10.0.0.1:53"]}),
    gateway(tracing={"endpoint": "http://otel-collector.observability.svc:4318/v1/path"}),
    external(service="llama", headlessService="llama-pods"),
    {"tenants": {"team-a": {"clientCertificates": ["CN-1.example.com", "a#b"]}}},
    {"models": {"chat-70b": {}}},
    {"models": {"gone": None}, "tenants": {"gone": None}, **gateway(externalModels={"gone": None})},
]

BAD: list[Values] = [
    gateway(paths=["/v1/it's"]),
    gateway(paths=["/v1/x%[env(HOME)]"]),
    gateway(paths=["/v1/a#b"]),
    gateway(paths=[f"/v1/{number}" for number in range(51)]),
    jwt(issuer="a#b"),
    jwt(issuer="a\\b"),
    jwt(audience="a#b"),
    jwt(audience="a b"),
    jwt(audience="-i"),
    gateway(dns={"nameservers": ["#10.96.0.10:53"]}),
    gateway(dns={"nameservers": ["it's:53"]}),
    gateway(tracing={"endpoint": "http://otel:4318/a#b"}),
    gateway(tracing={"endpoint": "http://otel:4318/a\nlua-load b"}),
    external(service="70b"),
    external(headlessService="70b-pods"),
    {"tenants": {"team-a": {"clientCertificates": ["#comment"]}}},
    {"models": {"70b-chat": {}}},
]


@pytest.mark.parametrize(("values", "good"), [(v, True) for v in GOOD] + [(v, False) for v in BAD], ids=str)
def test_the_python_validator_tells_what_would_break_the_configuration(values: Values, good: bool) -> None:
    whole = coalesce(ChartSchema("llm-platform").defaults, values)
    assert validator(schema_of("llm-platform")).is_valid(whole) is good


@pytest.mark.parametrize("helm", probe.HELMS)
@pytest.mark.parametrize(("values", "good"), [(v, True) for v in GOOD] + [(v, False) for v in BAD], ids=str)
def test_helm_tells_what_would_break_the_configuration(values: Values, good: bool, helm: str, tmp_path: Path) -> None:
    typed = tmp_path / "typed.yaml"
    typed.write_text(yaml.safe_dump(values))
    assert probe.takes(probe.make(tmp_path / "llm-platform", of="llm-platform"), [typed], helm) is good
