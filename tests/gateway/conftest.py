"""A gateway for tests: values in, a running HAProxy with a name server and engines around it out."""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.gateway.name_server import NameServer
from scripts.gateway.process import HAProxy, running, wait_until, write_files
from scripts.platform_chart import stubbed
from scripts.ports import free_port
from scripts.render import render
from tests.gateway.doubles import Engine

NAMESPACE = "llm"

_hosts = itertools.count(1)


def pod_address() -> str:
    """An address of the loopback interface that no other test of this process uses: another one has other ports."""
    number = next(_hosts)
    return f"127.10.{number // 250}.{number % 250 + 1}"


def keys_map(keys: Mapping[str, str]) -> str:
    """What the Secret holds: a line a key, ``<sha256> <tenant>``."""
    return "".join(f"{hashlib.sha256(key.encode()).hexdigest()} {tenant}\n" for key, tenant in keys.items())


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """One tree over another, as Helm lays values files."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


class World:
    """A gateway and what is around it.

    Attributes:
        values: of the release, with ports of this world filled in.
        names: the cluster's DNS.
        haproxy: the gateway's process.
        client: an HTTP client on it, without a key.
        folder: the gateway's files.
    """

    def __init__(
        self, folder: Path, values: Mapping[str, Any], keys: Mapping[str, str], **secrets: Mapping[str, str]
    ) -> None:
        self._stack = ExitStack()
        self.folder = folder
        self.names = NameServer()
        self._stack.callback(self.names.close)
        self.port = free_port()
        ports = {name: free_port() for name in ("api", "demand", "metrics")}
        gateway = {"bindAddress": "127.0.0.1", "ports": ports, "dns": {"nameservers": [f"127.0.0.1:{self.names.port}"]}}
        external = {
            name: merged({"servedNames": [name], "port": self.port}, model or {})
            for name, model in values.get("gateway", {}).get("externalModels", {}).items()
        }
        self.values = merged(merged({"gateway": gateway}, values), {"gateway": {"externalModels": external}})
        self.ports = ports
        self.secrets = {"keys": {"keys.map": keys_map(keys)}, **secrets}
        self.config = self.write()

    def write(self) -> Path:
        """Renders the chart and writes the gateway's files."""
        rendered = render(stubbed(), [self.values], release="llm", namespace=NAMESPACE)
        return write_files(self.folder, rendered.one("ConfigMap", "llm-gateway")["data"], self.secrets)

    def start(self, **options: Any) -> "World":
        self.haproxy: HAProxy = self._stack.enter_context(
            running(self.config, ("127.0.0.1", self.ports["api"]), **options)
        )
        scheme = "https" if self.values["gateway"].get("tls", {}).get("secret") else "http"
        self.url = f"{scheme}://127.0.0.1:{self.ports['api']}"
        self.client = self._stack.enter_context(httpx.Client(base_url=self.url, timeout=30, verify=False))  # noqa: S501
        return self

    def close(self) -> None:
        self._stack.close()

    def pods(self, model: str, count: int = 1, *, await_them: bool = True) -> list[Engine]:
        """Starts pods of a model and puts them into DNS; by default waits until the gateway uses them."""
        engines = [Engine(pod_address(), self.port) for _ in range(count)]
        for engine in engines:
            self._stack.callback(engine.close)
        self.publish(model, engines)
        if await_them:
            wait_until(lambda: self.servers_up(model) == count, what=f"{count} pods of {model} in the gateway")
        return engines

    def publish(self, model: str, engines: list[Engine], *, service: str | None = None) -> None:
        """Puts pods into DNS under the model's headless name, and an address behind its Service."""
        domain = f"{NAMESPACE}.svc.cluster.local"
        self.names.addresses[f"{model}-pods.{domain}"] = [engine.address for engine in engines]
        if service or engines:
            self.names.addresses[f"{model}.{domain}"] = [service or engines[0].address]

    def servers_up(self, model: str) -> int:
        """Pods of a model that the gateway sends requests to."""
        text = httpx.get(f"http://127.0.0.1:{self.ports['metrics']}/metrics?scope=backend", timeout=5).text
        wanted = f'haproxy_backend_active_servers{{proxy="model-{model}"}} '
        return int(float(text.partition(wanted)[2].partition("\n")[0]))

    def demand(self, model: str) -> int:
        """What the scaler is told."""
        return int(httpx.get(f"http://127.0.0.1:{self.ports['demand']}/demand/{model}", timeout=5).json()["demand"])

    def ask(
        self,
        model: str | None = "tiny",
        key: str | None = "key-a",
        *,
        path: str = "/v1/chat/completions",
        **options: Any,
    ) -> httpx.Response:
        """One request: a chat completion unless told otherwise."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        headers |= options.pop("headers", {})
        if not {"content", "json"} & options.keys():
            body: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}]}
            options["json"] = body if model is None else {"model": model, **body}
        return self.client.post(path, headers=headers, **options)


def code(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an error, after a look at its shape."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}, error
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, error["code"]


TWO_TENANTS: dict[str, Any] = {
    "gateway": {"externalModels": {"tiny": {}, "large": {}}},
    "tenants": {"team-a": {"models": ["tiny"]}, "team-b": {"models": ["*"]}},
}
KEYS = {"key-a": "team-a", "key-b": "team-b"}

MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[MakeWorld]:
    """Makes gateways; each ends with the test."""
    made: list[World] = []

    def make(
        values: Mapping[str, Any] = TWO_TENANTS, *, keys: Mapping[str, str] = KEYS, start: bool = True, **secrets: Any
    ) -> World:
        world = World(tmp_path / str(len(made)), values, keys, **secrets)
        made.append(world)
        return world.start() if start else world

    yield make
    for world in made:
        world.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two tenants and two models, a pod each. For tests that change nothing."""
    world = World(tmp_path_factory.mktemp("gateway"), TWO_TENANTS, KEYS).start()
    world.pods("tiny")
    world.pods("large")
    yield world
    world.close()


def body_of(engine: Engine) -> dict[str, Any]:
    """The last body that an engine got."""
    body: dict[str, Any] = json.loads(engine.seen[-1]["body"])
    return body
