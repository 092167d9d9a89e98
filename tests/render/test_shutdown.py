"""How a replica leaves: preStop, drain and grace from two values, and cut to fit a spot notice."""

import pytest

from scripts.paths import CHARTS
from scripts.render import Object, Render, RenderError
from tests.render.chart import Values, engine, flag, model, pod
from tests.render.variants import GROUP


def pre_stop(container: Object) -> int:
    return int(container.get("lifecycle", {}).get("preStop", {"sleep": {"seconds": 0}})["sleep"]["seconds"])


def numbers(made: Render) -> tuple[int, int, int]:
    """preStop, drain and grace, in seconds."""
    return pre_stop(engine(made)), int(flag(made, "shutdown-timeout") or 0), pod(made)["terminationGracePeriodSeconds"]


def test_endpoints_are_forgotten_before_the_engine_is_told() -> None:
    """vLLM answers /health 200 and new requests with 500 while it drains: only time stops the traffic."""
    assert numbers(model())[0] == 15


def test_running_streams_are_drained() -> None:
    """vLLM's own default is 0, which aborts every stream."""
    assert numbers(model())[1] == 90


@pytest.mark.parametrize(
    "shutdown",
    [
        {},
        {"drainSeconds": 0},
        {"drainSeconds": 600},
        {"endpointSeconds": 0},
        {"endpointSeconds": 35, "drainSeconds": 200},
    ],
)
def test_grace_covers_sleep_drain_and_a_margin(shutdown: Values) -> None:
    sleep, drain, grace = numbers(model({"shutdown": shutdown}))
    assert grace >= sleep + drain + 10
    assert grace >= 120
    assert drain == shutdown.get("drainSeconds", 90)
    assert sleep == shutdown.get("endpointSeconds", 15)


def test_grace_is_no_longer_than_it_has_to_be() -> None:
    assert numbers(model({"shutdown": {"drainSeconds": 600}}))[2] == 15 + 600 + 15


@pytest.mark.parametrize("notice", [20, 25, 30, 45, 60, 90, 120, 300])
def test_spot_replica_is_gone_before_the_cloud_takes_the_node(notice: int) -> None:
    sleep, drain, grace = numbers(model({"spot": {"enabled": True, "noticeSeconds": notice}}))
    assert grace <= notice
    assert sleep + drain + 5 <= grace
    assert sleep > 0
    assert drain > 0


def test_spot_on_aws_keeps_the_full_numbers() -> None:
    assert numbers(model({"spot": {"enabled": True, "noticeSeconds": 120}})) == (15, 90, 120)


def test_stated_seconds_that_cannot_fit_a_notice_are_refused() -> None:
    spot = {"spot": {"enabled": True, "noticeSeconds": 30}, "shutdown": {"drainSeconds": 60}}
    with pytest.raises(RenderError, match="do not fit into the 30 s between a spot notice and the end"):
        model(spot)


def test_stated_seconds_that_fit_a_notice_are_kept() -> None:
    spot = {"spot": {"enabled": True, "noticeSeconds": 30}, "shutdown": {"endpointSeconds": 5, "drainSeconds": 15}}
    assert numbers(model(spot))[:2] == (5, 15)


def test_stated_seconds_are_kept_on_demand_however_long() -> None:
    assert numbers(model({"shutdown": {"drainSeconds": 3600}}))[1] == 3600


@pytest.mark.parametrize("tag", ["v0.17.1", "v0.9.2"])
def test_engine_that_cannot_drain_is_not_told_to(tag: str) -> None:
    """An engine older than 0.18 does not know --shutdown-timeout and ends at once."""
    assert flag(model({"engine": {"image": {"tag": tag}}}), "shutdown-timeout") is None


@pytest.mark.parametrize("tag", ["v0.18.0", "v0.33.0", "v1.0.0"])
def test_engine_that_can_drain_is_told_to(tag: str) -> None:
    assert flag(model({"engine": {"image": {"tag": tag}}}), "shutdown-timeout") == "90"


def test_drain_that_an_old_engine_cannot_do_is_refused() -> None:
    with pytest.raises(RenderError, match=r"vLLM 0\.17\.1 cannot drain"):
        model({"engine": {"image": {"tag": "v0.17.1"}}, "shutdown": {"drainSeconds": 60}})


def test_worker_of_a_group_stays_until_its_leader_has_drained() -> None:
    halves = model(GROUP).one("LeaderWorkerSet")["spec"]["leaderWorkerTemplate"]
    leader, worker = (halves[half]["spec"] for half in ("leaderTemplate", "workerTemplate"))
    *_, script, port, seconds = worker["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert script == (CHARTS / "vllm-model" / "files" / "leader_end.py").read_text()
    assert int(port) == leader["containers"][0]["ports"][0]["containerPort"]
    assert int(seconds) >= pre_stop(leader["containers"][0]) + 90
    for spec in (leader, worker):
        assert spec["terminationGracePeriodSeconds"] > int(seconds)


def test_engine_is_the_first_process_of_its_container() -> None:
    """Under a shell SIGTERM is lost, and nothing drains."""
    assert engine(model())["command"] == ["vllm", "serve"]
