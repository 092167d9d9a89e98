"""The main job on a real engine: install one model, talk to it, watch it, remove it."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import openai
import pytest

from scripts.bench import local
from scripts.cluster import Cluster
from scripts.paths import REPO
from tests.cluster.scenario import Scenario

CHART = REPO / "charts" / "vllm-model"
VALUES = REPO / "values" / "models" / "tiny-cpu.yaml"
NAME = "tiny"
BUDGET_SECONDS = 420
STREAMS = 3
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
SELECTOR = f"vllm-model/name={NAME},vllm-model/role=server"


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace that admits restricted pods only, with the model installed and ready."""
    cluster.ensure_engine()
    with cluster.namespace("end-to-end", labels=RESTRICTED) as namespace:
        cluster.helm(
            *("install", NAME, CHART, "--namespace", namespace, "--values", VALUES, "--wait", "--timeout", "8m")
        )
        yield namespace


@pytest.fixture(scope="module")
def url(cluster: Cluster, namespace: str) -> Iterator[str]:
    """Base URL of the model's Service, forwarded to this machine."""
    with cluster.port_forward(f"service/{NAME}", 8000, namespace=namespace) as url:
        yield url


@pytest.fixture(scope="module")
def client(url: str) -> openai.OpenAI:
    """The client that users have."""
    return openai.OpenAI(base_url=f"{url}/v1", api_key="unused", timeout=120, max_retries=0)


def pod(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """The one pod that serves."""
    pods: list[dict[str, Any]] = cluster.get("pods", "--namespace", namespace, "--selector", SELECTOR)
    (pod,) = pods
    return pod


def seconds_to_ready(pod: dict[str, Any]) -> float:
    """Seconds from the start of the engine's container to Ready."""
    started = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    (ready,) = [condition for condition in pod["status"]["conditions"] if condition["type"] == "Ready"]
    return (datetime.fromisoformat(ready["lastTransitionTime"]) - datetime.fromisoformat(started)).total_seconds()


def test_the_model_is_ready_within_its_startup_budget_and_without_a_restart(cluster: Cluster, namespace: str) -> None:
    serving = pod(cluster, namespace)
    probe = serving["spec"]["containers"][0]["startupProbe"]
    sure = probe["initialDelaySeconds"] + (probe["failureThreshold"] - 1) * probe["periodSeconds"]
    assert serving["status"]["containerStatuses"][0]["restartCount"] == 0
    assert seconds_to_ready(serving) < sure


def test_a_chat_completion_streams_token_by_token_through_the_service(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=NAME,
        messages=[{"role": "user", "content": "Where does the scheduler place a pod?"}],
        max_tokens=24,
        stream=True,
        temperature=0,
        extra_body={"ignore_eos": True},
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    assert len([piece for piece in pieces if piece]) > 10
    assert "".join(pieces).strip()


def test_the_service_lists_the_served_name_and_refuses_another(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [NAME]
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.completions.create(model="another", prompt="hello", max_tokens=1)


def test_every_metric_that_the_chart_mentions_is_emitted_by_the_engine(url: str, client: openai.OpenAI) -> None:
    client.completions.create(model=NAME, prompt="one request, so that histograms have samples", max_tokens=2)
    emitted = set(re.findall(r"^(vllm:\w+)", httpx.get(f"{url}/metrics").text, re.MULTILINE))
    mentioned = metrics_in_chart()
    assert len(mentioned) > 8
    assert mentioned <= emitted


def metrics_in_chart() -> set[str]:
    """Names of the engine's metrics in templates, dashboards and other files of the chart."""
    files = [*CHART.glob("templates/*"), *CHART.glob("dashboards/*"), *CHART.glob("files/*")]
    return {name for file in files if file.is_file() for name in re.findall(r"vllm:[a-z0-9_]+", file.read_text())}


def test_the_metrics_carry_the_labels_that_the_queries_select(url: str) -> None:
    text = httpx.get(f"{url}/metrics").text
    assert re.search(rf'^vllm:num_requests_waiting{{engine="0",model_name="{NAME}"}} ', text, re.MULTILINE)


def test_helm_test_passes(cluster: Cluster, namespace: str) -> None:
    said = cluster.helm("test", NAME, "--namespace", namespace, "--timeout", "3m", "--logs")
    assert "Phase:          Succeeded" in said


def test_the_engine_runs_as_a_stranger_on_a_read_only_root(cluster: Cluster, namespace: str) -> None:
    name = pod(cluster, namespace)["metadata"]["name"]
    inside = ("exec", "--namespace", namespace, name, "--", "python3", "-c")
    assert cluster.kubectl(*inside, "import os; print(os.getuid())").strip() == "1000"
    assert "Read-only file system" in cluster.kubectl(*inside, "open('/written', 'w')", check=False)


@pytest.mark.long
def test_a_rolling_update_of_the_engine_loses_no_request(cluster: Cluster, namespace: str) -> None:
    """The same as test_nothing_lost_real.py does with a hundred streams, on the engine that is there already."""
    options = {"rate": 2, "tokens": 4, "streams": STREAMS, "stream_tokens": 900, "spread": 5}
    url = local.service_url(cluster, NAME, namespace)
    scenario = Scenario(cluster, namespace, url, engine="real", model=NAME, options=options)
    old = pod(cluster, namespace)["metadata"]["name"]
    changed = ("--set-string", "engine.env.VLLM_LOGGING_LEVEL=WARNING")
    with scenario.traffic() as traffic:
        traffic.wait_for_streams(STREAMS)
        with traffic.window("event"):
            cluster.helm("upgrade", NAME, CHART, "--namespace", namespace, "--values", VALUES, *changed)
            cluster.kubectl("rollout", "status", f"deployment/{NAME}", "-n", namespace, "--timeout=400s", seconds=410)
            cluster.wait("--for=delete", f"pod/{old}", "--namespace", namespace, seconds=150)
    outcome = scenario.keep("rolling update, few streams", traffic.report())
    outcome.record()
    assert len(outcome.in_flight) >= STREAMS
    assert outcome.report.not_ok() == [], outcome.report.summary()


def test_uninstall_leaves_nothing_behind(cluster: Cluster, namespace: str) -> None:
    cluster.helm("uninstall", NAME, "--namespace", namespace, "--wait", "--timeout", "4m")
    # Helm waits for the objects of the release; the pod that it no longer knows takes its time to leave.
    cluster.wait("--for=delete", "pod", "--namespace", namespace, "--selector", SELECTOR, seconds=150)
    kinds = cluster.kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name").split()
    ours = [kind for kind in kinds if not kind.startswith(("events", "endpoints", "pods.metrics"))]
    left = cluster.kubectl(
        *("get", ",".join(ours), "--namespace", namespace, "--ignore-not-found", "--output=name"),
        *("--selector", f"app.kubernetes.io/instance={NAME}"),
    )
    assert [line for line in left.split() if not line.startswith("pod/tiny-test")] == []
    assert cluster.kubectl("get", "secrets", "--namespace", namespace, "--output=name") == ""
