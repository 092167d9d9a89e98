"""What the scalers' queries answer: the right number under load, 0 when idle, and nothing where there is no data.

KEDA takes nothing for an error (ignoreNullValues is false), and an HPA with an error among its metrics never scales
down.
"""

from pathlib import Path

import pytest

from scripts.render import Values, render
from tests.monitoring import promtool

TRIGGERS = [
    "waitingRequests",
    "runningRequests",
    "requestsPerSecond",
    "timeToFirstToken",
    "kvCacheUsage",
    "tokensPerSecond",
    "gpuUtilization",
]
NAMES = {
    "waitingRequests": "waiting-requests",
    "runningRequests": "running-requests",
    "requestsPerSecond": "requests-per-second",
    "timeToFirstToken": "time-to-first-token",
    "kvCacheUsage": "kv-cache-usage",
    "tokensPerSecond": "tokens-per-second",
    "gpuUtilization": "gpu-utilization",
}
IDLE = {
    "vllm:num_requests_waiting{$a}": "0x40",
    "vllm:num_requests_running{$a}": "0x40",
    'vllm:request_success_total{$a,finished_reason="stop"}': "10x40",
    'vllm:time_to_first_token_seconds_bucket{$a,le="1.0"}': "9x40",
    'vllm:time_to_first_token_seconds_bucket{$a,le="+Inf"}': "10x40",
    "vllm:kv_cache_usage_perc{$a}": "0x40",
    "vllm:generation_tokens_total{$a}": "1000x40",
    "DCGM_FI_DEV_GPU_UTIL{$podA}": "0x40",
}
BUSY = {
    "vllm:num_requests_waiting{$a}": "3x40",
    "vllm:num_requests_waiting{$b}": "4x40",
    "vllm:num_requests_running{$a}": "30x40",
    "vllm:num_requests_running{$b}": "40x40",
    'vllm:request_success_total{$a,finished_reason="stop"}': "0+30x40",
    'vllm:request_success_total{$b,finished_reason="length"}': "0+15x40",
    'vllm:time_to_first_token_seconds_bucket{$a,le="1.0"}': "0+9x40",
    'vllm:time_to_first_token_seconds_bucket{$a,le="2.0"}': "0+10x40",
    'vllm:time_to_first_token_seconds_bucket{$a,le="+Inf"}': "0+10x40",
    "vllm:kv_cache_usage_perc{$a}": "0.5x40",
    "vllm:kv_cache_usage_perc{$b}": "0.75x40",
    "vllm:generation_tokens_total{$a}": "0+1500x40",
    "vllm:generation_tokens_total{$b}": "0+3000x40",
    'DCGM_FI_DEV_GPU_UTIL{$podA,gpu="0"}': "60x40",
    'DCGM_FI_DEV_GPU_UTIL{$podA,gpu="1"}': "100x40",
    'DCGM_FI_DEV_GPU_UTIL{$podB,gpu="0"}': "70x40",
    # Never this model's: a longer name, another namespace.
    "vllm:num_requests_waiting{$longer}": "99x40",
    "vllm:num_requests_waiting{$elsewhere}": "99x40",
    "vllm:num_requests_running{$elsewhere}": "99x40",
}
LOAD = {
    "waitingRequests": 7,
    "runningRequests": 70,
    "requestsPerSecond": 3,
    "timeToFirstToken": 1.5,
    "kvCacheUsage": 1.25,
    "tokensPerSecond": 300,
    "gpuUtilization": 150,
}
ASLEEP = {'kube_deployment_spec_replicas{namespace="llm",deployment="demo"}': "0x40"}
AWAKE = {'kube_deployment_spec_replicas{namespace="llm",deployment="demo"}': "1x40"}


def query(trigger: str, minimum: int = 1) -> str:
    """The query of one trigger as KEDA is given it."""
    values: Values = {
        "model": {"id": "org/model"},
        "autoscaling": {
            "type": "keda",
            "minReplicas": minimum,
            "prometheus": {"serverAddress": "http://prometheus"},
            "wake": {"gateway": {"service": "gateway"}},
            "triggers": {trigger: {"enabled": True} for trigger in TRIGGERS},
        },
    }
    triggers = render("vllm-model", [values], namespace="llm").one("ScaledObject")["spec"]["triggers"]
    (found,) = [entry["metadata"]["query"] for entry in triggers if entry["name"] == NAMES[trigger]]
    return str(found)


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_under_load_a_query_answers_the_load_of_this_model_alone(trigger: str, tmp_path: Path) -> None:
    assert promtool.evaluate(tmp_path, query(trigger), BUSY, "5m", LOAD[trigger]) == ""


@pytest.mark.parametrize("minimum", [0, 1])
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_an_idle_replica_is_a_load_of_zero(trigger: str, minimum: int, tmp_path: Path) -> None:
    assert promtool.evaluate(tmp_path, query(trigger, minimum), IDLE | AWAKE, "5m", 0) == ""


@pytest.mark.parametrize("minimum", [0, 1])
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_model_that_should_run_and_is_not_seen_gives_no_answer(trigger: str, minimum: int, tmp_path: Path) -> None:
    assert promtool.evaluate(tmp_path, query(trigger, minimum), AWAKE, "5m", None) == ""


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_model_asleep_is_a_load_of_zero_where_the_cluster_says_so(trigger: str, tmp_path: Path) -> None:
    assert promtool.evaluate(tmp_path, query(trigger, 0), ASLEEP, "5m", 0) == ""


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_model_that_never_sleeps_is_not_excused_by_zero_wanted_replicas(trigger: str, tmp_path: Path) -> None:
    assert promtool.evaluate(tmp_path, query(trigger, 1), ASLEEP, "5m", None) == ""


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_an_empty_prometheus_gives_no_answer(trigger: str, tmp_path: Path) -> None:
    assert promtool.evaluate(tmp_path, query(trigger, 0), {}, "5m", None) == ""


def test_gpu_utilisation_is_read_under_the_labels_of_an_exporter_that_is_not_honoured(tmp_path: Path) -> None:
    series = {
        'DCGM_FI_DEV_GPU_UTIL{namespace="gpu-operator",pod="dcgm-x",exported_namespace="llm",'
        'exported_pod="demo-5d9c8b7f66-aaaaa"}': "80x40"
    }
    assert promtool.evaluate(tmp_path, query("gpuUtilization"), series, "5m", 80) == ""


def test_a_rollout_asleep_is_known_by_either_form_of_its_controllers_labels(tmp_path: Path) -> None:
    values: Values = {
        "model": {"id": "org/model"},
        "workload": {"kind": "Rollout"},
        "autoscaling": {
            "type": "keda",
            "minReplicas": 0,
            "prometheus": {"serverAddress": "http://prometheus"},
            "wake": {"gateway": {"service": "gateway"}},
            "triggers": {"waitingRequests": {"enabled": True}},
        },
    }
    triggers = render("vllm-model", [values], namespace="llm").one("ScaledObject")["spec"]["triggers"]
    asked = triggers[1]["metadata"]["query"]
    for labels in ('namespace="llm"', 'namespace="argo",exported_namespace="llm"'):
        series = {f'rollout_info_replicas_desired{{{labels},name="demo"}}': "0x40"}
        assert promtool.evaluate(tmp_path, asked, series, "5m", 0) == ""
