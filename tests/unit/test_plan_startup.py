"""How long a start takes: phases, budget, read rates."""

import pytest

from scripts.console import UserError
from scripts.plan.startup import Start, compiles, constants, failure_threshold, plan, read_rate, startup_budget_seconds


def phase(start: Start, name: str) -> tuple[float, float]:
    """(expected, bound) of a phase; (0, 0) where it does not happen."""
    return next(((p.expected, p.bound) for p in plan(start).phases if p.name == name), (0, 0))


def test_the_budget_is_never_below_the_floor() -> None:
    assert startup_budget_seconds(0, eager=True) == constants()["floorSeconds"] == 360


@pytest.mark.parametrize(
    "more",
    [{"gpus": 2}, {"nodes": 2}, {"downloads": True}, {"read_rate_mib": 100}, {"size_gib": 60}],
)
def test_whatever_makes_a_start_slower_makes_the_budget_larger(more: dict[str, float]) -> None:
    base = {"size_gib": 30.0, "gpus": 1, "nodes": 1, "downloads": False}
    assert startup_budget_seconds(**{**base, **more}) > startup_budget_seconds(**base)  # type: ignore[arg-type]


def test_without_compilation_the_budget_is_smaller() -> None:
    assert startup_budget_seconds(60, eager=True) < startup_budget_seconds(60)


@pytest.mark.parametrize(
    ("needed", "initial", "period"), [(360, 60, 10), (361, 60, 10), (1493, 60, 10), (40, 60, 10), (100, 5, 2)]
)
def test_what_is_sure_of_a_probe_covers_what_is_needed_and_not_a_period_more(
    needed: int, initial: int, period: int
) -> None:
    sure = initial + (failure_threshold(needed, initial_delay=initial, period=period) - 1) * period
    assert sure >= needed or needed < initial
    assert sure - period < max(needed, initial)


def test_bounds_of_the_phases_add_up_to_the_budget() -> None:
    answer = plan(Start(131.4, gpus=2))
    assert answer.bound_ready == pytest.approx(answer.needed_seconds, abs=1)


def test_every_phase_is_expected_within_its_bound() -> None:
    for start in (
        Start(15),
        Start(131.4, gpus=2, storage="nvme"),
        Start(641, gpus=16, nodes=2, downloads=True),
        Start(1, eager=True),
    ):
        assert all(0 <= p.expected <= p.bound for p in plan(start).phases)


def test_node_and_image_are_no_matter_of_the_probe() -> None:
    answer = plan(Start(15))
    assert {p.name for p in answer.phases if not p.probe} == {"node", "image"}
    assert answer.scale_up_delay > answer.expected_ready


def test_what_is_there_already_takes_no_time() -> None:
    there = plan(Start(15, node_present=True, image_present=True))
    assert there.scale_up_delay == there.expected_ready


def test_a_warm_cache_shortens_the_expectation_but_never_the_budget() -> None:
    cold, warm = plan(Start(15)), plan(Start(15, warm=True))
    assert warm.expected_ready < cold.expected_ready
    assert warm.needed_seconds == cold.needed_seconds


def test_old_engines_do_not_compile() -> None:
    assert not compiles("0.5.5")
    assert compiles("0.33.0")
    assert phase(Start(15, compiles=False), "compile") == (0, 0)


def test_the_slower_of_storage_and_loader_decides() -> None:
    assert read_rate("gp3-default", "runai_streamer", 1)[0] == 120
    assert read_rate("fabric", "safetensors", 1)[0] == 290
    assert read_rate("fabric", "runai_streamer", 1)[0] == 3000


def test_ranks_read_side_by_side_up_to_a_node() -> None:
    one, eight, sixteen = (read_rate("fabric", "safetensors", n)[0] for n in (1, 8, 16))
    assert one < eight == sixteen


@pytest.mark.parametrize(
    ("storage", "loader", "flag"), [("floppy", "safetensors", "--storage"), ("nfs", "magic", "--loader")]
)
def test_an_unknown_storage_or_loader_names_the_known_ones(storage: str, loader: str, flag: str) -> None:
    with pytest.raises(UserError, match=flag) as caught:
        read_rate(storage, loader, 1)
    assert "nfs" in caught.value.fix or "safetensors" in caught.value.fix


def test_a_measured_rate_goes_before_the_table() -> None:
    assert plan(Start(30, storage="nfs", read_rate=3072)).read_rate_mib == 3072
    assert phase(Start(30, read_rate=3072), "load")[1] == pytest.approx(10 + constants()["loadFixedSeconds"])
