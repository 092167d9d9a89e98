"""An engine that ends TLS itself is asked with HTTPS by all who ask, and any other with HTTP."""

import pytest

from scripts.render import Render
from tests.render.chart import Values, engine, environment, model

KEY: Values = {"sslKeyfile": "/tls/tls.key", "sslCertfile": "/tls/tls.crt"}

HTTPS: dict[str, Values] = {
    "key and certificate": KEY,
    "key in the certificate's file": {"sslCertfile": "/tls/both.pem"},
}
HTTP: dict[str, Values] = {"nothing": {}, "what was taken away": {"sslKeyfile": None, "sslCertfile": None}}

tls = pytest.mark.parametrize("flags", HTTPS.values(), ids=HTTPS.keys())
plain = pytest.mark.parametrize("flags", HTTP.values(), ids=HTTP.keys())


def made(flags: Values) -> Render:
    watched = {"monitoring": {"podMonitor": {"enabled": True}}, "workload": {"kind": "Rollout"}}
    return model({"engine": {"flags": flags}, **watched})


def probes(flags: Values) -> set[str]:
    container = engine(made(flags))
    return {container[name]["httpGet"]["scheme"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}


@tls
def test_probes_speak_https_where_the_engine_does(flags: Values) -> None:
    assert probes(flags) == {"HTTPS"}


@plain
def test_probes_speak_http_where_the_engine_does(flags: Values) -> None:
    assert probes(flags) == {"HTTP"}


def services(flags: Values) -> set[str]:
    return {port["appProtocol"] for body in made(flags).all("Service") for port in body["spec"]["ports"]}


@tls
def test_every_service_says_https(flags: Values) -> None:
    assert services(flags) == {"https"}


@plain
def test_every_service_says_http(flags: Values) -> None:
    assert services(flags) == {"http"}


@tls
def test_scrape_by_address_does_not_verify_the_name_of_the_certificate(flags: Values) -> None:
    (endpoint,) = made(flags).one("PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint["scheme"] == "https"
    assert endpoint["tlsConfig"] == {"insecureSkipVerify": True}


@plain
def test_scrape_of_plain_http_says_nothing_of_tls(flags: Values) -> None:
    (endpoint,) = made(flags).one("PodMonitor")["spec"]["podMetricsEndpoints"]
    assert not {"scheme", "tlsConfig"} & endpoint.keys()


def asked(flags: Values) -> str:
    url: str = environment(made(flags).one("Pod", "demo-test")["spec"]["containers"][0])["URL"]
    return url


@tls
def test_helm_test_asks_with_https(flags: Values) -> None:
    assert asked(flags) == "https://demo:8000"


@plain
def test_helm_test_asks_with_http(flags: Values) -> None:
    assert asked(flags) == "http://demo:8000"
