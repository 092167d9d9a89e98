"""The umbrella's other gateway: an InferencePool and a real endpoint picker for each model, behind a Gateway.

NetworkPolicies are enforced meanwhile.

Real are the picker, the payload processor (both from the module that also has the definitions) and Envoy. The Gateway's
controller is not: scripts/bench/inference.py reads the routes and pools that the chart made, and tells Envoy.
"""

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

from scripts.bench import gateway, inference, local, operators
from scripts.bench.proof import Record
from scripts.bench.traffic import Traffic
from scripts.cluster import Cluster, wait_until
from scripts.kubernetes_modules import KUBERNETES_VERSION
from scripts.paths import REPO
from scripts.platform_chart import stubbed
from scripts.render import render
from tests.cluster.enforcer import enforced
from tests.cluster.pods import gone, pods, ready
from tests.cluster.scenario import Scenario, Timing

BUDGET_SECONDS = 900
pytestmark = pytest.mark.long

TIMING = Timing()
PICKERS = "app.kubernetes.io/component=endpoint-picker"


def autoscaling_of_the_page(namespace: str) -> dict[str, Any]:
    """How a model behind a picker wakes by docs/gateway.md, for the model ``other`` and the metrics of this version."""
    page = (REPO / "docs" / "gateway.md").read_text()
    (text,) = re.findall(
        r"```yaml title=\"platform values\"\n(gateway:\n  type: inference-extension.*?)```", page, re.DOTALL
    )
    for there, here in {
        "http://prometheus-operated.llm-platform.svc:9090": operators.PROMETHEUS,
        'namespace="llm-platform"': f'namespace="{namespace}"',
        "llama-epp": "other-epp",
        "llm_d_epp_": "inference_extension_",
    }.items():
        assert there in text
        text = text.replace(there, here)
    found: dict[str, Any] = yaml.safe_load(text)["models"]["llama"]["autoscaling"]
    return found | {"prometheus": {"serverAddress": operators.PROMETHEUS}}


def values(namespace: str, image: dict[str, str], **engine: Any) -> dict[str, Any]:
    """Two models on the double, one of them with three replicas."""
    guarded = {"networkPolicy": {"enabled": True, "ingress": {"monitoringNamespaces": [operators.MONITORING]}}}
    m = local.overlay(local.DOUBLE, guarded, TIMING.values, {"replicas": 3, "engine": engine})
    sleeper = {
        "model": {"servedNames": ["other"]},
        "shutdown": {"drainSeconds": 5},
        "autoscaling": autoscaling_of_the_page(namespace),
    }
    other = local.overlay(local.DOUBLE, guarded, sleeper)
    picker: dict[str, Any] = {
        "image": image,
        "flowControl": True,
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    }
    made = {
        "models": {"m": m, "other": other},
        "gateway": {
            "type": "inference-extension",
            "inferenceExtension": {"gatewayRef": {"name": "public"}, "endpointPicker": picker},
        },
    }
    picker["config"] = config_of_the_chart(made)
    return made


def config_of_the_chart(made: dict[str, Any]) -> dict[str, Any]:
    """What the chart tells a picker, in the words of the module's version: only the name of the group differs."""
    text = render(stubbed(), [gateway.PLATFORM, made], release="llm").one("ConfigMap", "m-epp")["data"]["config.yaml"]
    config: dict[str, Any] = yaml.safe_load(text)
    return {**config, "apiVersion": inference.PICKER_API}


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> dict[str, str]:
    return inference.picker_image(cluster)


@pytest.fixture(scope="module")
def scenario(cluster: Cluster, image: dict[str, str]) -> Iterator[Scenario]:
    local.ensure_double(cluster)
    inference.install_definitions(cluster)
    operators.install_keda(cluster)
    operators.install_prometheus(cluster)
    with cluster.namespace("inference") as namespace:
        gateway.apply(cluster, "install", namespace, values(namespace, image), "--wait", "--timeout", "3m")
        inference.install_gateway(cluster, namespace)
        url = local.service_url(cluster, "envoy", namespace, port=80)
        with enforced(cluster):
            yield Scenario(cluster, namespace, url, path="endpoint picker", timing=TIMING)


@pytest.fixture(scope="module")
def outside(scenario: Scenario) -> Iterator[str]:
    """The Gateway's URL from this machine."""
    with scenario.cluster.port_forward("service/envoy", 80, namespace=scenario.namespace) as url:
        yield url


def ask(url: str, model: str, prompt: str = "a b c", seconds: float = 30) -> tuple[int, str]:
    """A short completion: status, and the body as it came."""
    body = json.dumps({"model": model, "prompt": prompt, "max_tokens": 2}).encode()
    request = urllib.request.Request(  # noqa: S310 (http on loopback)
        f"{url}/v1/completions", body, {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def answered(scenario: Scenario) -> dict[str, int]:
    """Completions that each pod of the model has answered so far."""
    counted = {}
    for pod in pods(scenario):
        text = local.metrics(scenario.cluster, pod, scenario.namespace)
        found = re.findall(r'^http_requests_total\{.*handler="/v1/[^}]*\} (\S+)', text, re.MULTILINE)
        counted[pod] = int(sum(map(float, found)))
    return counted


@pytest.mark.parametrize("model", ["tiny", "other"])
def test_a_request_goes_to_the_pool_of_the_model_in_its_body(scenario: Scenario, outside: str, model: str) -> None:
    ready(scenario)
    before = answered(scenario)
    status, body = ask(outside, model)
    assert (status, json.loads(body)["model"]) == (200, model)
    assert sum(answered(scenario).values()) - sum(before.values()) == (model == "tiny")


def test_a_model_that_no_pool_serves_is_404(outside: str) -> None:
    assert ask(outside, "unknown")[0] == 404


def test_prompts_that_begin_alike_go_to_one_pod_and_different_ones_to_all(scenario: Scenario, outside: str) -> None:
    ready(scenario)

    def pods_of(prompts: list[str]) -> int:
        before = answered(scenario)
        assert {ask(outside, "tiny", prompt)[0] for prompt in prompts} == {200}
        after = answered(scenario)
        return sum(after[pod] > before[pod] for pod in after)

    shared = "the same system prompt, word for word " * 40
    assert pods_of([f"{shared}{number}" for number in range(12)]) == 1
    assert pods_of([f"{number} is another beginning " * 40 for number in range(30)]) == 3


def test_a_rolling_update_behind_a_picker_loses_nothing(scenario: Scenario, image: dict[str, str]) -> None:
    ready(scenario)

    def event(_: Traffic) -> None:
        before = pods(scenario)
        changed = values(scenario.namespace, image, flags={"maxNumSeqs": 200})
        gateway.apply(scenario.cluster, "upgrade", scenario.namespace, changed, "--wait", "--timeout", "3m")
        gone(scenario, before)

    outcome = scenario.run("rolling update, flags", event)
    outcome.record(note="Envoy asks the picker for a pod; the picker leaves a pod out when its deletion begins")
    outcome.assert_nothing_lost()


def test_a_picker_that_is_replaced_loses_nothing(scenario: Scenario) -> None:
    ready(scenario)
    cluster, namespace = scenario.cluster, scenario.namespace

    def event(_: Traffic) -> None:
        before = [pod["metadata"]["name"] for pod in picker_pods(scenario, "m")]
        cluster.kubectl("rollout", "restart", "deployment/m-epp", "--namespace", namespace)
        cluster.kubectl("rollout", "status", "deployment/m-epp", "--namespace", namespace, "--timeout=90s")
        gone(scenario, before, seconds=180)

    outcome = scenario.run("endpoint picker: rolling update", event, overlong=9)
    outcome.record(note="a stream passes through its picker up to the last token, so the old one stays for it")
    outcome.assert_nothing_lost()


def test_a_request_for_a_model_at_zero_waits_in_the_picker_and_wakes_it(scenario: Scenario, outside: str) -> None:
    cluster, namespace = scenario.cluster, scenario.namespace
    cluster.kubectl("scale", "deployment/other", "--namespace", namespace, "--replicas=0")
    selector = ("--namespace", namespace, "--selector", "vllm-model/name=other,vllm-model/role=server")
    wait_until("the model has no pod", lambda: cluster.get("pods", *selector) == [], seconds=60)
    with ThreadPoolExecutor(20) as pool:
        began = time.time()
        asked = [pool.submit(ask, outside, "other", seconds=120) for _ in range(20)]
        answers = [each.result()[0] for each in asked]
    figures = {
        "requests": len(answers),
        "answered": f"{answers.count(200)} of {len(answers)}",
        "note": f"Prometheus asks the picker every 5 s, KEDA that; all answered after {time.time() - began:.0f} s",
    }
    record = Record("zero", "20 at once, behind a picker", scenario.engine, figures, {"Kubernetes": KUBERNETES_VERSION})
    record.write()
    assert set(answers) == {200}


def picker_pods(scenario: Scenario, model: str) -> list[dict[str, Any]]:
    """The pods of a model's picker, those that are leaving aside."""
    selector = f"{PICKERS},llm-platform/model={model}"
    found = scenario.cluster.get("pods", "--namespace", scenario.namespace, "--selector", selector)
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
