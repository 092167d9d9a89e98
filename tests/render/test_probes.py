"""How long a start may take, and who may end a container."""

import math

import pytest

from scripts.kubernetes_yaml import load
from scripts.paths import CHARTS
from scripts.render import sure_seconds
from tests.render.chart import Values, engine, environment, model, pod, workload
from tests.render.variants import GROUP

CLAIM: Values = {"source": "claim", "claim": {"name": "w"}}
TINY: Values = {"weights": {"sizeGiB": 0.01}, "engine": {"flags": {"enforceEager": True}}}


def constants() -> dict[str, float]:
    """The constants of the formula: measurements, which change with better ones. The formula is what is tested."""
    text = (CHARTS / "vllm-model" / "templates" / "_startup-budget.tpl").read_text()
    block = text.split('define "vllm-model.startup.constants" -}}')[1].split("{{- end")[0]
    found: dict[str, float] = load(block)
    return found


def needed(
    size: float, *, gpus: int = 1, nodes: int = 1, read: float = 0, eager: bool = False, fetch: bool = False
) -> int:
    """Seconds that a start may take, added up phase by phase. ``read`` is in MiB/s."""
    c = constants()
    phases = {
        "imports": c["importsSeconds"],
        "several GPUs": c["multiGpuSeconds"] if gpus > 1 else 0,
        "rendezvous": c["extraNodeSeconds"] * (nodes - 1),
        "download": size * 1024 / c["downloadRateMiBps"] if fetch else 0,
        "load": c["loadFixedSeconds"] + size * 1024 / (read or c["readRateMiBps"]),
        "compile and graphs": c["eagerSeconds"] if eager else c["compileSeconds"] + c["graphsSeconds"],
        "kernels": min(c["kernelSecondsMax"], c["kernelSecondsPerGiB"] * size),
        "slack": c["slackSeconds"],
    }
    return max(int(c["floorSeconds"]), math.ceil(sum(phases.values())))


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        pytest.param({"weights": {**CLAIM, "sizeGiB": 15}}, needed(15), id="8B in a claim"),
        pytest.param({"weights": {"sizeGiB": 15}}, needed(15, fetch=True), id="8B that the engine downloads"),
        pytest.param({"weights": {"sizeGiB": 15, "downloader": "initContainer"}}, needed(15), id="8B that came before"),
        pytest.param(
            {"weights": {**CLAIM, "sizeGiB": 131.4}, "parallelism": {"tensor": 2}}, needed(131.4, gpus=2), id="70B"
        ),
        pytest.param(
            {"weights": {**CLAIM, "sizeGiB": 131.4, "readMiBPerSecond": 1000}, "parallelism": {"pipeline": 2}},
            needed(131.4, gpus=2, read=1000),
            id="70B from fast storage",
        ),
        pytest.param(
            {**GROUP, "weights": {**GROUP["weights"], "sizeGiB": 641}}, needed(641, gpus=16, nodes=2), id="two nodes"
        ),
        pytest.param(
            {"weights": {**CLAIM, "sizeGiB": 60}, "engine": {"flags": {"enforceEager": True}}},
            needed(60, eager=True),
            id="eager",
        ),
        pytest.param(TINY, 360, id="tiny"),
    ],
)
def test_startup_budget_is_what_the_formula_gives(values: Values, seconds: int) -> None:
    sure = sure_seconds(engine(model(values)))
    assert seconds <= sure < seconds + 10, f"sure are {sure} s, needed {seconds} s and at most one period more"


def test_startup_probe_counts_only_what_is_sure() -> None:
    """360 s from 60 + 10 x 30 are an upper bound: the kubelet kills at the 30th failure, after 350 s."""
    probe = engine(model(TINY))["startupProbe"]
    assert (probe["initialDelaySeconds"], probe["periodSeconds"], probe["failureThreshold"]) == (60, 10, 31)


@pytest.mark.parametrize("delay", [0, 30, 60, 600])
@pytest.mark.parametrize("period", [5, 7, 10, 30])
def test_startup_budget_survives_other_delays_and_periods(delay: int, period: int) -> None:
    probes = {"startup": {"initialDelaySeconds": delay, "periodSeconds": period, "budgetSeconds": 500}}
    probe = engine(model({"probes": probes}))["startupProbe"]
    sure = probe["initialDelaySeconds"] + (probe["failureThreshold"] - 1) * probe["periodSeconds"]
    assert sure >= 500
    assert sure - 500 < max(period, delay - 500 + 1)


def test_startup_budget_grows_with_the_weights() -> None:
    budgets = [sure_seconds(engine(model({"weights": {"sizeGiB": size}}))) for size in (1, 15, 30, 60, 140, 700)]
    assert budgets == sorted(set(budgets)), "each larger model gets a longer budget"


def test_unknown_size_gets_the_budget_of_what_the_gpus_can_hold() -> None:
    unknown = sure_seconds(engine(model({"weights": {"sizeGiB": None}, "gpu": {"memoryGiB": 24}})))
    assert unknown == sure_seconds(engine(model({"weights": {"sizeGiB": 24}})))


def test_stated_budget_wins_over_the_formula() -> None:
    assert sure_seconds(engine(model({"probes": {"startup": {"budgetSeconds": 1800}}}))) == 1800


def test_liveness_never_acts_before_startup_is_done() -> None:
    """The kubelet holds liveness back while a startup probe runs; without one it would kill a loading engine."""
    container = engine(model())
    assert "startupProbe" in container
    assert "livenessProbe" in container


def test_liveness_restarts_a_dead_engine_without_the_long_grace() -> None:
    probe = engine(model())["livenessProbe"]
    assert probe["terminationGracePeriodSeconds"] == 30
    assert probe["timeoutSeconds"] == 5, "the default of 1 s kills a busy engine"


def test_liveness_can_be_switched_off() -> None:
    assert "livenessProbe" not in engine(model({"probes": {"liveness": {"enabled": False}}}))


@pytest.mark.parametrize("name", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_every_probe_asks_health_on_the_named_port(name: str) -> None:
    assert engine(model())[name]["httpGet"] == {"path": "/health", "port": "http", "scheme": "HTTP"}


def test_no_post_start_loads_the_model_twice() -> None:
    assert "postStart" not in engine(model()).get("lifecycle", {})


def test_rollout_deadline_covers_start_image_and_node() -> None:
    made = model()
    assert workload(made)["spec"]["progressDeadlineSeconds"] >= sure_seconds(engine(made)) - 10 + 600 + 120


def test_rollout_deadline_covers_a_download_before_the_container() -> None:
    alone = {"weights": {"sizeGiB": 100, "source": "claim", "claim": {"name": "w"}}}
    fetched = {"weights": {"sizeGiB": 100, "downloader": "initContainer"}}
    slower = workload(model(fetched))["spec"]["progressDeadlineSeconds"]
    assert slower >= workload(model(alone))["spec"]["progressDeadlineSeconds"] + 100 * 1024 / 100


def test_engine_waits_for_itself_as_long_as_the_probe_does() -> None:
    made = model({"weights": {"sizeGiB": 140}})
    patience = int(environment(engine(made))["VLLM_ENGINE_READY_TIMEOUT_S"])
    assert patience >= sure_seconds(engine(made)) - 10
    assert patience > 600


def test_engine_of_a_small_model_keeps_its_own_patience() -> None:
    assert environment(engine(model(TINY)))["VLLM_ENGINE_READY_TIMEOUT_S"] == "600"


def test_only_the_pod_that_serves_is_probed() -> None:
    made = model(GROUP)
    halves = made.one("LeaderWorkerSet")["spec"]["leaderWorkerTemplate"]
    assert "readinessProbe" in halves["leaderTemplate"]["spec"]["containers"][0]
    worker = halves["workerTemplate"]["spec"]["containers"][0]
    assert not {"startupProbe", "readinessProbe", "livenessProbe"} & worker.keys()
    assert pod(made) is halves["leaderTemplate"]["spec"]
