"""The whole platform by one ``helm install`` on an empty cluster: served, guarded, watched, changed and taken away.

Real: Kubernetes, Helm, the engine (vLLM's CPU build with a tiny model, twice), the gateway, KEDA, the Prometheus
Operator, its Prometheus and kube-state-metrics. The operators' charts are stand-ins (tests/cluster/stand_ins.py).
The tests of a part build on the release as the part before has left it.
"""

import base64
import itertools
import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from scripts import deps
from scripts.bench import local
from scripts.bench.proof import Record
from scripts.cluster import Cluster, CommandError, Settings, engine, wait_until
from scripts.dashboards import DASHBOARDS
from scripts.kubernetes_modules import KUBERNETES_VERSION
from tests.cluster import collector
from tests.cluster.conftest import NAME
from tests.cluster.scenario import versions
from tests.cluster.whole_platform import (
    NAMESPACE,
    RELEASE,
    TENANT,
    VALUES,
    Platform,
    deps_of,
    ensure_images,
    three_models,
    umbrella,
)
from tests.monitoring.prometheus import Prometheus, selections
from tests.render.platform import stored_bytes

BUDGET_SECONDS = 420
OWN = {"team-a": "acme/chat", "team-b": "acme/code"}
"""A model that each tenant may use. The other's it may not."""


@pytest.fixture(scope="module")
def empty_cluster() -> Iterator[Cluster]:
    """A cluster of this file's own: others leave operators and their definitions behind."""
    cluster = Cluster(Settings(name=f"{NAME}-own"))
    was_running = cluster.is_running
    cluster.up()
    yield cluster
    if not was_running:
        cluster.down()


@pytest.fixture(scope="module")
def platform(empty_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """The release, installed by one command and ready."""
    cluster = empty_cluster
    assert cluster.get("customresourcedefinitions") == []
    ensure_images(cluster)
    chart = umbrella(cluster, tmp_path_factory.mktemp("umbrella"))
    made = Platform(cluster, chart, {**VALUES, "models": three_models(cluster)})
    cluster.kubectl("create", "namespace", NAMESPACE)
    cluster.apply(collector.manifests(NAMESPACE))
    made.make_keys()
    began = time.monotonic()
    made.helm("install", "--wait", "--timeout", "10m")
    record("helm install, from zero", began)
    made.wait_for_gateway("chat", "code", "sleepy")
    return made


def record(scenario: str, began: float, **figures: Any) -> None:
    """Keeps what a step took, for docs/proof.md."""
    names = {"Kubernetes": KUBERNETES_VERSION, "vLLM": f"{engine.version()} (CPU)"}
    names |= versions("keda-operator", "prometheus-operator", "prometheus", "helm")
    figures["took"] = f"{time.monotonic() - began:.0f} s"
    Record("platform", scenario, "real", figures, names).write()


def client(platform: Platform, tenant: str) -> openai.OpenAI:
    """The client that a tenant's people have."""
    return openai.OpenAI(base_url=f"{platform.url}/v1", api_key=platform.keys[tenant], timeout=120, max_retries=0)


def ask(platform: Platform, tenant: str, model: str, **options: Any) -> Any:
    """One chat completion."""
    question = [{"role": "user", "content": "Where does the scheduler place a pod?"}]
    return client(platform, tenant).chat.completions.create(
        **{"model": model, "messages": question, "max_tokens": 8, **options}
    )


# Served


@pytest.mark.parametrize(("tenant", "model"), OWN.items())
def test_a_tenants_key_gets_an_answer_of_its_own_model(platform: Platform, tenant: str, model: str) -> None:
    answer = ask(platform, tenant, model)
    assert answer.model == model
    assert answer.choices[0].message.content.strip()


@pytest.mark.parametrize(("tenant", "model"), [*zip(OWN, reversed(OWN.values()), strict=True)])
def test_a_tenants_key_is_refused_the_others_model_in_words_that_say_so(
    platform: Platform, tenant: str, model: str
) -> None:
    with pytest.raises(openai.PermissionDeniedError) as refused:
        ask(platform, tenant, model)
    assert refused.value.code == "model_not_allowed"
    assert isinstance(refused.value.body, dict)
    assert model in refused.value.body["message"]


@pytest.mark.parametrize(("tenant", "models"), [("team-a", {"acme/chat"}), ("team-b", {"acme/code", "acme/sleepy"})])
def test_the_list_of_models_has_what_the_tenant_may_use_and_nothing_else(
    platform: Platform, tenant: str, models: set[str]
) -> None:
    assert {model.id for model in client(platform, tenant).models.list()} == models


@pytest.mark.parametrize("key", ["", "llm-team-a-guessed"])
def test_without_a_key_that_is_known_there_is_no_answer(platform: Platform, key: str) -> None:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    body = {"model": "acme/chat", "prompt": "hello"}
    answer = httpx.post(f"{platform.url}/v1/completions", json=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


def arrivals(platform: Platform, tenant: str, model: str, tokens: int) -> list[float]:
    """Seconds after the question at which the pieces of a stream came."""
    began = time.monotonic()
    stream = ask(platform, tenant, model, max_tokens=tokens, stream=True, extra_body={"ignore_eos": True})
    return [time.monotonic() - began for chunk in stream if chunk.choices and chunk.choices[0].delta.content]


@pytest.mark.parametrize(("tenant", "model"), OWN.items())
def test_a_stream_of_the_real_engine_arrives_whole_and_in_pieces(platform: Platform, tenant: str, model: str) -> None:
    """When is not judged: on two cores this engine, also when asked directly, often sends all pieces at its end."""
    assert len(arrivals(platform, tenant, model, 200)) > 100


def test_tokens_that_are_made_one_by_one_arrive_one_by_one(platform: Platform) -> None:
    """The double makes one each 20 ms, so that pieces which come together were held back on the way.

    One of three tries is enough: a busy machine is late now and then, what holds a stream back does so always.
    """

    def one_by_one() -> bool:
        times = arrivals(platform, "team-b", "acme/sleepy", 100)
        together = sum(later - earlier < 0.005 for earlier, later in itertools.pairwise(times))
        return len(times) > 50 and together < len(times) / 4

    assert any(one_by_one() for _ in range(3))


# Guarded


def test_the_17th_gpu_of_a_tenant_is_refused(platform: Platform) -> None:
    """The model holds one; fifteen more are admitted, whether or not the nodes have as many."""
    spec = platform.cluster.get("deployment", "chat", "--namespace", TENANT)["spec"]["template"]["spec"]

    def pod(name: str, gpus: int) -> dict[str, Any]:
        container = {**spec["containers"][0], "resources": {"requests": {"memory": "1Gi"}}}
        container["resources"] |= {"limits": {"nvidia.com/gpu": gpus}}
        own = {**spec, "containers": [container], "nodeSelector": {"no": "such-node"}}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": TENANT},
            "spec": own,
        }

    platform.cluster.apply([pod("fifteen", 15)])
    with pytest.raises(CommandError, match=r"exceeded quota: tenant, requested: requests\.nvidia\.com/gpu=1, used"):
        platform.cluster.apply([pod("seventeenth", 1)])


# Watched


@pytest.fixture(scope="module")
def prometheus(platform: Platform) -> Iterator[Prometheus]:
    """The operator's Prometheus, after traffic that is answered, refused and too much."""
    with platform.cluster.port_forward("service/prometheus-operated", 9090, namespace=NAMESPACE) as url:
        server = Prometheus(url)
        for expression in ("vllm:num_requests_running", "llm_gateway_requests_total", "keda_scaler_active"):
            wait_until(f"Prometheus knows {expression}", lambda: server.query(expression), seconds=120, pause=1)  # noqa: B023
        traffic(platform)
        asleep(platform)
        for expression in (
            # Two scrapes of it: the first has all of the burst already, and no rate is above zero.
            'rate(http_requests_total{status="5xx"}[1m])',
            "model:llm_gateway_budget_burn:rate6h",
            "namespace:llm_spend_per_hour:sum",
            "rate(model:llm_generation_tokens:rate1h[1m])",
            'kube_deployment_spec_replicas{deployment="sleepy"} == 0',
        ):
            wait_until(f"Prometheus has {expression}", lambda: server.query(expression), seconds=120, pause=1)  # noqa: B023
        yield server


def traffic(platform: Platform) -> None:
    """Requests of both tenants, and a burst past the gateway of which the engine refuses most."""
    for tenant, model in OWN.items():
        for _ in range(3):
            ask(platform, tenant, model)
    with platform.cluster.port_forward("service/chat", 8000, namespace=TENANT) as url, ThreadPoolExecutor(16) as pool:
        body = {"model": "acme/chat", "prompt": "where", "max_tokens": 200, "ignore_eos": True}
        found = pool.map(lambda _: httpx.post(f"{url}/v1/completions", json=body, timeout=120).status_code, range(16))
        assert {200, 503} == set(found)


def asleep(platform: Platform) -> None:
    """Puts the third model to sleep, as its cooldown would."""
    platform.cluster.kubectl("scale", "deployment/sleepy", "--replicas=0", "--namespace", NAMESPACE)


POOLS = {
    f"podMonitor/{NAMESPACE}/{RELEASE}-gateway/0",
    f"podMonitor/{NAMESPACE}/{RELEASE}-gateway/1",
    f"podMonitor/{TENANT}/chat/0",
    f"podMonitor/{NAMESPACE}/code/0",
    f"serviceMonitor/{NAMESPACE}/keda-operator/0",
    f"serviceMonitor/{NAMESPACE}/keda-metricserver/0",
    f"serviceMonitor/{NAMESPACE}/keda-webhooks/0",
    f"serviceMonitor/{NAMESPACE}/kube-state-metrics/0",
}


def test_every_monitor_is_taken_up_and_its_targets_are_up(prometheus: Prometheus) -> None:
    def targets() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = prometheus.get("targets", state="active")["activeTargets"]
        # Its last pod is just leaving, or gone.
        return [each for each in found if each["scrapePool"] != f"podMonitor/{NAMESPACE}/sleepy/0"]

    assert {each["scrapePool"] for each in targets()} == POOLS
    wait_until("every target is up", lambda: all(each["health"] == "up" for each in targets()), seconds=60, pause=1)


def test_every_rule_is_taken_up_and_evaluated_without_an_error(platform: Platform, prometheus: Prometheus) -> None:
    made = platform.cluster.get("prometheusrules", "--all-namespaces")
    written = [rule for body in made for group in body["spec"]["groups"] for rule in group["rules"]]

    def loaded() -> list[dict[str, Any]]:
        return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]

    wait_until(
        "every rule has been evaluated", lambda: all(rule["health"] != "unknown" for rule in loaded()), seconds=90
    )
    assert [(rule["name"], rule.get("lastError")) for rule in loaded() if rule["health"] != "ok"] == []
    assert len(loaded()) == len(written) > 60


WITHOUT_DATA = {
    "Scalers that fail": "counts scalers that fail, and none does",
    "Last 30 days": "needs whole hours of series",
}
"""Panels of which nothing is seen here, beside those of the DCGM exporter: there is no GPU. They have data in
tests/monitoring/test_platform_live.py, from an exporter that says what a file says."""

CHOICES = {
    "model.json": {"namespace": TENANT, "workload": "chat", "model": "acme/chat", "pod": ".*"},
    "gateway.json": {"namespace": NAMESPACE, "pod": ".*", "model": ".+"},
    "autoscaling.json": {"namespace": ".*", "model": ".+"},
    "gpus.json": {"node": ".*"},
    "cost.json": {"namespace": ".*"},
}
"""What is chosen at the top of each dashboard."""


def panels() -> Iterator[Any]:
    """The expressions of every panel, its variables filled in."""
    for path in DASHBOARDS:
        choices = {**CHOICES[path.name], "__rate_interval": "1m"}
        for panel in json.loads(path.read_text())["panels"]:
            expressions = [target["expr"] for target in panel.get("targets", [])]
            if panel["title"] in WITHOUT_DATA or any("DCGM_" in each for each in expressions) or not expressions:
                continue
            yield pytest.param([chosen(each, choices) for each in expressions], id=f"{path.stem}: {panel['title']}")


def chosen(text: str, choices: Mapping[str, str]) -> str:
    """A query with its dashboard's variables filled in."""
    return re.sub(r"\$([a-z_]+)", lambda match: choices[match.group(1)], text)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_variable_of_a_dashboard_has_choices(prometheus: Prometheus, path: Path) -> None:
    for variable in json.loads(path.read_text())["templating"]["list"]:
        if variable["type"] != "query":
            continue
        query = chosen(variable["query"], CHOICES[path.name])
        series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()  # type: ignore[union-attr]
        offered = [each["metric"].get(label, "") for each in prometheus.query(series)]
        pattern = variable.get("regex", "").strip("/") or "(.+)"
        assert any(re.search(pattern, value) for value in offered), variable["name"]


def test_every_series_that_a_models_alerts_select_is_there(platform: Platform, prometheus: Prometheus) -> None:
    groups = platform.cluster.get("prometheusrule", "chat", "--namespace", TENANT)["spec"]["groups"]
    asked = {each for group in groups for rule in group["rules"] for each in selections(rule["expr"])}
    # A Deployment that is well has no such condition at all, and there is no GPU.
    asked = {each for each in asked if not re.search("DCGM_|ReplicaFailure", each)}
    assert len(asked) > 10
    assert prometheus.silent(sorted(asked)) == []


@pytest.mark.parametrize("expressions", [*panels()])
def test_every_panel_that_needs_no_gpu_has_data(prometheus: Prometheus, expressions: list[str]) -> None:
    assert prometheus.silent(expressions) == []


def test_what_a_model_costs_is_its_gpus_times_the_price(prometheus: Prometheus) -> None:
    (found,) = prometheus.query('model:llm_spend_per_hour:sum{model="chat"}')
    assert found["value"][1] == "0.8"


def test_a_trace_leads_from_the_client_through_the_gateway_to_the_engine(platform: Platform) -> None:
    trace, caller = secrets.token_hex(16), secrets.token_hex(8)
    ask(platform, "team-a", "acme/chat", extra_headers={"traceparent": f"00-{trace}-{caller}-01"})

    def spans() -> dict[str, collector.Span]:
        return {span.service: span for span in collector.spans(platform.cluster, NAMESPACE) if span.trace == trace}

    wait_until("both have sent their spans", lambda: len(spans()) == 2, seconds=60, pause=1)
    gateway, engine = spans()["llm-gateway"], spans()["chat"]
    assert (gateway.parent, engine.parent) == (caller, gateway.span)


# Changed


RELEASED = {"meta.helm.sh/release-name": RELEASE, "meta.helm.sh/release-namespace": NAMESPACE}


def running(platform: Platform) -> dict[str, dict[str, int]]:
    """The pods of both models on the real engine."""
    return {"chat": platform.pods("chat", TENANT), "code": platform.pods("code", NAMESPACE)}


def test_objects_in_other_namespaces_belong_to_the_release_too(platform: Platform) -> None:
    words = ("--namespace", TENANT)
    for kind, name in (("deployment", "chat"), ("scaledobject", "chat"), ("resourcequota", "tenant")):
        assert RELEASED.items() <= platform.cluster.get(kind, name, *words)["metadata"]["annotations"].items()


def test_the_release_fits_its_secret(platform: Platform) -> None:
    """What Helm keeps is what tests/render/test_platform_size.py reckons with."""
    (secret,) = platform.cluster.get("secrets", "--namespace", NAMESPACE, "--selector", f"owner=helm,name={RELEASE}")
    kept = len(base64.b64decode(secret["data"]["release"]))
    manifest = platform.cluster.helm("get", "manifest", RELEASE, "--namespace", NAMESPACE)
    reckoned = stored_bytes(manifest, platform.chart, platform.values)
    assert abs(kept - reckoned) < 0.05 * kept


def test_crds_upgrade_brings_back_what_an_older_version_did_not_have(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "scaledobjects.keda.sh"
    columns = '[{"op": "remove", "path": "/spec/versions/0/additionalPrinterColumns"}]'
    platform.cluster.kubectl("patch", "crd", name, "--type=json", f"--patch={columns}")
    monkeypatch.setenv("KUBECONFIG", str(platform.cluster.kubeconfig))
    with deps_of(platform.chart):
        deps.crds_upgrade()
    assert platform.cluster.get("crd", name)["spec"]["versions"][0]["additionalPrinterColumns"]


def test_an_upgrade_that_adds_a_model_restarts_no_other_and_a_rollback_takes_it_away(platform: Platform) -> None:
    before, models, began = running(platform), platform.values["models"], time.monotonic()
    more = {**models["sleepy"], "autoscaling": {}, "model": {**models["sleepy"]["model"], "servedNames": ["acme/more"]}}
    platform.helm(
        "upgrade", "--wait", "--timeout", "3m", values={**platform.values, "models": {**models, "more": more}}
    )
    assert platform.pods("more", NAMESPACE)
    platform.cluster.helm("rollback", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "3m")
    assert not platform.cluster.kubectl("get", "deployment", "more", "--namespace", NAMESPACE, "--ignore-not-found")
    assert running(platform) == before
    record("upgrade that adds a model, and its rollback", began, restarted="2 of 2")


MOVED: dict[str, Any] = {
    # What the umbrella has told the model about the platform (docs/upgrade.md).
    "shutdown": VALUES["vllm-model"]["shutdown"],
    "autoscaling": {
        "wake": {
            "gateway": {
                "service": f"{RELEASE}-gateway-internal",
                "namespace": NAMESPACE,
                "podLabels": {
                    "app.kubernetes.io/name": "llm-platform",
                    "app.kubernetes.io/instance": RELEASE,
                    "app.kubernetes.io/component": "gateway",
                },
            }
        },
        "prometheus": {"serverAddress": f"http://prometheus-operated.{NAMESPACE}.svc:9090"},
    },
    "monitoring": {"podMonitor": {"enabled": True}, "rules": {"enabled": True}},
    "networkPolicy": {"ingress": {"monitoringNamespaces": [NAMESPACE]}},
}


def test_a_model_moves_into_a_release_of_its_own_without_a_restart(platform: Platform) -> None:
    before, models, began = running(platform), platform.values["models"], time.monotonic()
    kept = local.overlay(models["chat"], {"commonAnnotations": {"helm.sh/resource-policy": "keep"}})
    platform.helm("upgrade", values={**platform.values, "models": {**models, "chat": kept}})
    platform.values["models"] = {name: entry for name, entry in models.items() if name != "chat"}
    external = {"externalModels": {"chat": {"namespace": TENANT, "servedNames": ["acme/chat"]}}}
    platform.values["gateway"] = {**platform.values["gateway"], **external}
    platform.helm("upgrade", "--wait", "--timeout", "3m")
    own = {key: value for key, value in models["chat"].items() if key != "namespace"}
    local.helm(platform.cluster, "install", "chat", TENANT, local.overlay(own, MOVED), "--take-ownership", "--wait")
    owned = platform.cluster.get("deployment", "chat", "--namespace", TENANT)["metadata"]["annotations"]
    assert (owned["meta.helm.sh/release-name"], owned.get("helm.sh/resource-policy")) == ("chat", None)
    assert running(platform) == before
    record("a model moved into a release of its own", began, restarted="2 of 2")
    platform.wait_for_gateway("chat", "code")
    assert ask(platform, "team-a", "acme/chat").model == "acme/chat"


# Taken away


def test_a_model_of_its_own_release_goes_with_all_that_is_its(platform: Platform) -> None:
    platform.cluster.helm("uninstall", "chat", "--namespace", TENANT, "--wait", "--timeout", "2m")
    left = platform.cluster.kubectl(
        *("get", "deployments,services,scaledobjects,podmonitors,prometheusrules", "--namespace", TENANT),
        *("--output", "name"),
    )
    assert left.split() == []


def test_uninstall_with_a_live_scaler_hangs_nowhere_and_keeps_what_people_want_kept(platform: Platform) -> None:
    cluster = platform.cluster
    assert cluster.get("scaledobject", "sleepy", "--namespace", NAMESPACE)["metadata"]["finalizers"]
    began = time.monotonic()
    platform.uninstall()
    record("uninstall with a live scaler", began)
    assert cluster.get("scaledobjects", "--all-namespaces") == []
    owned = "app.kubernetes.io/part-of=" + RELEASE
    kinds = "deployments,services,roles,rolebindings,jobs,networkpolicies,configmaps,clusterroles,apiservices"
    assert cluster.kubectl("get", kinds, "--all-namespaces", "--selector", owned, "--output", "name") == ""
    assert cluster.get("namespace", TENANT)
    assert cluster.get("secret", "llm-gateway-keys", "--namespace", NAMESPACE)
    assert cluster.get("crd", "scaledobjects.keda.sh")


def test_helm_3_installs_it_again_with_the_old_keys_and_takes_it_away(platform: Platform) -> None:
    platform.values["models"] = {"sleepy": platform.values["models"]["sleepy"]}
    platform.values["tenants"] = {"team-b": {"models": ["sleepy"]}}
    platform.values["gateway"]["externalModels"] = {}
    platform.helm("install", "--wait", "--timeout", "3m", version=3)
    platform.wait_for_gateway("sleepy")
    assert ask(platform, "team-b", "acme/sleepy").model == "acme/sleepy"
    platform.uninstall(version=3)
    platform.cluster.kubectl("delete", "namespace", NAMESPACE, TENANT, "--timeout=90s")
