"""The simulator: traces, one replica, the control loop, whole runs, recorded time lines."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.bench.load import Request as LoadRequest
from scripts.bench.traffic import Report
from scripts.console import UserError
from scripts.paths import TESTS
from scripts.plan.catalog import find_gpu
from scripts.plan.fit import Setup, fit
from scripts.plan.latency import Slo, Speed, sustainable
from scripts.plan.simulate import strategies, trace
from scripts.plan.simulate.compare import Sample, Timeline, compare, timeline
from scripts.plan.simulate.engine import Capacity, Replica, Served
from scripts.plan.simulate.plot import svg
from scripts.plan.simulate.scaler import Controller, Rules, average_value, ratio, responsive
from scripts.plan.simulate.trace import Request
from scripts.plan.simulate.world import Result, Setting, Strategy, View, simulate
from scripts.plan.simulate_command import best, setting_for
from scripts.plan.sources import find_model

EIGHT = fit(find_model("llama-3.1-8b-instruct"), Setup(gpu=find_gpu("L4"), max_model_len=8192))
SETTING = setting_for(EIGHT, Slo(), 120)


def steady(rate: float, seconds: float, prompt: int = 500, output: int = 100, start: float = 0) -> list[Request]:
    return [Request(start + i / rate, prompt, output) for i in range(int(rate * seconds))]


def ran(requests: list[Request], strategy: Strategy, setting: Setting = SETTING) -> Result:
    return simulate(requests, setting, strategy)


# --- traces ---


def test_the_azure_format_is_read_with_its_seven_digits(tmp_path: Path) -> None:
    file = tmp_path / "azure.csv"
    file.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:50.9951690,396,109\n"
        "2023-11-16 18:15:46.6805900,374,44\n"
    )
    assert trace.load(file) == [Request(0, 374, 44), Request(pytest.approx(4.314579), 396, 109)]  # type: ignore[arg-type]


def test_the_log_of_the_traffic_driver_is_read(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    kept = [
        LoadRequest(number=n, group="short", stream=True, tokens=9, started=100.0 + n, received=7) for n in range(2)
    ]
    Report(kept, {}, ["load"]).write(file)
    assert trace.load(file) == [Request(0, 20, 7), Request(1, 20, 7)]


def test_json_lines_of_times_and_tokens_are_read(tmp_path: Path) -> None:
    file = tmp_path / "traffic.jsonl"
    file.write_text(
        '{"start": 3.5, "prompt_tokens": 10, "completion_tokens": 4}\n'
        '{"start": 3.0, "prompt_tokens": 7, "completion_tokens": 0}\n'
    )
    assert trace.load(file) == [Request(0, 7, 1), Request(0.5, 10, 4)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2\n", "no column TIMESTAMP"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n", "no requests"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\nsoon,1,2\n", "line 2"),
    ],
)
def test_a_broken_trace_is_refused_by_column_or_line(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "trace.csv"
    file.write_text(content)
    with pytest.raises(UserError, match=said):
        trace.load(file)


def test_a_missing_trace_says_where_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"docs/planner\.md"):
        trace.load(tmp_path / "none.csv")


def test_a_replay_twice_as_fast_has_twice_the_rate() -> None:
    assert [r.arrival for r in trace.scaled([Request(0, 1, 1), Request(4, 1, 1)], 2)] == [0, 2]


# --- one replica ---


def replica(sequences: int = 64, kv_tokens: int = 20_000) -> Replica:
    return Replica(Capacity(SETTING.capacity.speed, sequences, kv_tokens, 2048), 0.0)


def finish(engine: Replica, limit: float = 10_000) -> list[Served]:
    """Lets a replica work until nothing is left."""
    ended: list[Served] = []
    while engine.load and engine.now < limit:
        ended += engine.advance(engine.now + engine.next_event())
    return ended


def test_one_request_takes_its_prefill_and_its_steps() -> None:
    engine, speed = replica(), SETTING.capacity.speed
    served = Served(Request(0, 500, 100))
    engine.accept(served)
    finish(engine)
    expected = speed.prefill_seconds(500) + 100 * speed.step_seconds(1, 550)
    assert served.end == pytest.approx(expected, rel=0.05)


def test_everything_accepted_ends_in_order_of_its_length() -> None:
    engine = replica()
    requests = [Served(Request(0, 100, output)) for output in (40, 10, 30, 20)]
    for served in requests:
        engine.accept(served)
    assert [s.request.output for s in finish(engine)] == [10, 20, 30, 40]
    assert engine.context == 0


def test_running_together_is_slower_for_each_and_faster_for_all() -> None:
    def whole(count: int) -> float:
        engine = replica()
        for _ in range(count):
            engine.accept(Served(Request(0, 100, 200)))
        finish(engine)
        return engine.now

    assert whole(1) < whole(16) < 16 * whole(1) / 4


def test_no_more_sequences_run_than_max_num_seqs() -> None:
    engine = replica(sequences=2)
    for _ in range(5):
        engine.accept(Served(Request(0, 10, 50)))
    most = 0
    while engine.load:
        engine.advance(engine.now + engine.next_event())
        most = max(most, len(engine.running) + len(engine.prefill))
    assert most == 2


def test_a_full_cache_preempts_the_youngest_and_still_answers_all() -> None:
    engine = replica(kv_tokens=1500)
    requests = [Served(Request(0, 300, 400)) for _ in range(4)]
    for served in requests:
        engine.accept(served)
    finish(engine)
    assert engine.preemptions > 0
    assert all(s.end > 0 for s in requests)
    assert requests[0].end < requests[-1].end


def test_the_cache_is_never_fuller_than_it_is() -> None:
    engine = replica(kv_tokens=2000)
    for _ in range(8):
        engine.accept(Served(Request(0, 200, 300)))
    while engine.load:
        engine.advance(engine.now + engine.next_event())
        assert engine._cached <= 2000 * 1.001


# --- the control loop ---


def decisions(controller: Controller, wishes: list[int], current: int = 1, every: float = 15) -> list[int]:
    found = []
    for index, wish in enumerate(wishes):
        current = controller.decide(index * every, wish, current)
        found.append(current)
    return found


def test_up_waits_for_the_window_and_then_adds_two_pods_in_two_minutes() -> None:
    rules = Rules(maximum=10, up_window=60)
    wanted = decisions(Controller(rules), [1, 1, *[8] * 20])
    first = next(i for i, n in enumerate(wanted) if n > 1)
    assert first * 15 == pytest.approx(2 * 15 + 60, abs=15)
    assert all(later - sooner <= 2 for sooner, later in pairwise(wanted))
    assert wanted[first + 7] == 3
    assert wanted[first + 8] == 5


def test_a_controller_that_just_began_takes_nothing_away() -> None:
    assert set(decisions(Controller(Rules(maximum=10)), [1] * 39, current=5)) == {5}


def test_the_responsive_preset_does_not_wait() -> None:
    assert decisions(Controller(responsive(Rules(maximum=10))), [8])[0] == 3


def test_a_burst_shorter_than_the_window_moves_nothing() -> None:
    assert set(decisions(Controller(Rules(maximum=10)), [1, 8, 8, 1, 1, 1])) == {1}


def test_down_waits_ten_minutes_and_takes_one_pod_in_five() -> None:
    wanted = decisions(Controller(Rules(maximum=10)), [5, *[1] * 120], current=5)
    falls = [i * 15 for i in range(1, len(wanted)) if wanted[i] < wanted[i - 1]]
    assert falls[0] == pytest.approx(600, abs=15)
    assert all(later - sooner >= 300 for sooner, later in pairwise(falls))


def test_a_wish_stays_between_minimum_and_maximum() -> None:
    assert decisions(Controller(Rules(minimum=2, maximum=4, up_window=0, up_pods=9)), [9, 9])[-1] == 4
    down = Rules(minimum=2, maximum=4, down_window=0, down_pods=9, down_period=1)
    assert decisions(Controller(down), [0, 0], current=4)[-1] == 2


def test_only_activation_wakes_from_zero_and_only_the_cooldown_puts_to_sleep() -> None:
    controller = Controller(Rules(minimum=0, cooldown=300))
    assert controller.decide(0, 5, 0) == 0
    assert controller.activate(10, 1, 0) == 1
    assert controller.activate(300, 0, 1) == 1
    assert controller.activate(310, 0, 1) == 0
    assert controller.decide(320, 0, 1) == 1


def test_with_a_minimum_of_one_the_cooldown_does_nothing() -> None:
    assert Controller(Rules(minimum=1, cooldown=1)).activate(10_000, 0, 1) == 1


@pytest.mark.parametrize(
    ("total", "current", "wanted"), [(10, 1, 2), (10.9, 2, 2), (5.4, 1, 1), (5.6, 1, 2), (0, 3, 0), (9.4, 2, 2)]
)
def test_a_sum_is_divided_by_its_target_outside_the_tolerance(total: float, current: int, wanted: int) -> None:
    assert average_value(total, 5, current) == wanted


@pytest.mark.parametrize(("value", "wanted"), [(0.8, 2), (0.85, 2), (1.0, 3), (0.3, 1)])
def test_a_share_multiplies_the_replicas_outside_the_tolerance(value: float, wanted: int) -> None:
    assert ratio(value, 0.8, 2) == wanted


# --- whole runs ---


def test_enough_replicas_keep_the_promise_and_too_few_do_not() -> None:
    requests = steady(4, 300)
    carried = strategies.carried(requests, SETTING).requests_per_second
    enough = int(4 / carried / 0.7) + 1
    assert ran(requests, strategies.fixed(enough)).attainment > 0.95
    assert ran(requests, strategies.fixed(max(1, enough // 4))).attainment < 0.5


def test_every_request_is_answered_once() -> None:
    requests = steady(3, 200)
    result = ran(requests, strategies.waiting(Rules(maximum=4), 1))
    assert len(result.served) == len(requests)
    assert all(s.end > s.first_token - 1 > s.request.arrival - 1 for s in result.served)


def test_fixed_replicas_cost_their_number_times_the_time() -> None:
    result = ran(steady(1, 360), strategies.fixed(3))
    assert result.gpu_hours == pytest.approx(3 * result.duration / 3600)


def test_the_same_seed_gives_the_same_run_and_another_one_another() -> None:
    requests = steady(5, 600)
    strategy = strategies.waiting(Rules(maximum=8, up_window=0), 1)
    same, again, other = (ran(requests, strategy, replace(SETTING, seed=s)).ttft(0.9) for s in (1, 1, 2))
    assert same == again != other


def test_a_step_in_load_scales_up_within_window_scrape_and_sync() -> None:
    requests = [*steady(0.2, 300), *steady(8, 600, start=300)]
    result = ran(requests, strategies.demand(Rules(maximum=6), 1, 8))
    grew = next(v.time for v in result.views if v.replicas > 1)
    assert 300 + 60 <= grew <= 300 + 60 + 15 + 15 + 15


def test_replicas_are_ready_a_cold_start_after_they_are_wanted() -> None:
    requests = [*steady(0.2, 60), *steady(8, 900, start=60)]
    result = ran(requests, strategies.demand(Rules(maximum=6, up_window=0), 1, 8), replace(SETTING, spread=0))
    wanted = next(v.time for v in result.views if v.replicas > 1)
    ready = next(v.time for v in result.views if v.ready > 1)
    assert ready - wanted == pytest.approx(SETTING.cold_start, abs=30)


def test_at_zero_requests_are_held_and_answered_after_the_cold_start() -> None:
    requests = [Request(0, 100, 10), *steady(1, 60, start=2000)]
    result = ran(requests, strategies.to_zero(Rules(maximum=3), 0, 8, cooldown=300), replace(SETTING, spread=0))
    assert result.served[0].ttft == pytest.approx(SETTING.cold_start, abs=5)
    assert any(v.replicas == 0 for v in result.views if 600 < v.time < 2000)
    assert all(s.end > 0 for s in result.served)


def test_scale_to_zero_costs_nothing_while_it_sleeps() -> None:
    requests = [Request(0, 100, 10), Request(20_000, 100, 10)]
    asleep = ran(requests, strategies.to_zero(Rules(maximum=3), 0, 8, cooldown=300))
    assert asleep.gpu_hours < 0.1 * ran(requests, strategies.fixed(1)).gpu_hours


def test_a_limit_for_each_server_holds_requests_at_the_gateway_and_blinds_the_waiting_trigger() -> None:
    requests = steady(6, 400)
    limited = replace(SETTING, per_server_limit=8)
    blind = ran(requests, strategies.waiting(Rules(maximum=6, up_window=0), 1), limited)
    seeing = ran(requests, strategies.demand(Rules(maximum=6, up_window=0), 1, 8), limited)
    assert max(v.replicas for v in blind.views) == 1
    assert max(v.held for v in blind.views) > 100
    assert max(v.replicas for v in seeing.views) == 6


def test_scale_down_loses_nothing() -> None:
    requests = [*steady(6, 200), *steady(0.2, 1500, start=200)]
    result = ran(requests, strategies.demand(Rules(maximum=6, up_window=0, down_window=60, down_period=30), 4, 8))
    assert min(v.ready for v in result.views[20:]) < 4
    assert all(s.end > 0 for s in result.served)


def test_what_waits_in_a_replica_that_stops_goes_to_another() -> None:
    narrow = replace(SETTING, capacity=replace(SETTING.capacity, sequences=1))
    free = Rules(maximum=2, down_window=0, down_pods=2, down_period=1)
    shrink = Strategy("shrink", free, lambda view: 2 if view.time < 60 else 1, 2)
    result = ran(steady(1, 120), shrink, narrow)
    assert max(v.waiting for v in result.views if v.time < 60) > 10
    assert all(s.end > 0 for s in result.served)


def test_cpu_utilisation_says_nothing_about_an_engine() -> None:
    result = ran(steady(8, 400), strategies.hpa_cpu(Rules(maximum=6, up_window=0), 1))
    assert max(v.replicas for v in result.views) == 1
    assert result.attainment < 0.2


def test_the_oracle_starts_replicas_before_the_load_comes() -> None:
    requests = [*steady(0.5, 900), *steady(6, 600, start=900)]
    result = ran(requests, strategies.oracle(requests, SETTING, 12))
    assert next(v.time for v in result.views if v.replicas > 2) < 900
    assert result.attainment > 0.95


def test_the_table_has_each_strategy_once_and_recommends_no_oracle() -> None:
    requests = steady(3, 400)
    results = [ran(requests, s) for s in strategies.comparison(requests, SETTING, Rules(maximum=8))]
    names = [r.strategy for r in results]
    assert len(names) == len(set(names)) >= 8
    assert best(results).strategy != "oracle"


def test_a_model_that_does_not_fit_is_not_simulated() -> None:
    big = fit(find_model("deepseek-r1"), Setup(gpu=find_gpu("L4"), max_model_len=4096))
    with pytest.raises(UserError, match="does not fit"):
        setting_for(big, Slo())


def test_an_hour_of_twenty_thousand_requests_takes_seconds() -> None:
    import time

    requests = steady(5.5, 3500, prompt=1000, output=200)
    began = time.process_time()
    ran(requests, strategies.fixed(12))
    assert time.process_time() - began < 10


# --- speed ---


def test_a_step_is_no_faster_than_its_weights_can_be_read() -> None:
    speed = Speed.of(EIGHT)
    assert speed.step_seconds(1, 100) > 14.9 * 2**30 / 300e9


@pytest.mark.parametrize(
    "slower",
    [
        lambda s: s.step_seconds(32, 1000) > s.step_seconds(1, 1000),
        lambda s: s.step_seconds(8, 8000) > s.step_seconds(8, 100),
        lambda s: s.prefill_seconds(4000) > 4 * s.prefill_seconds(1000),
        lambda s: s.under_load(16, 1000, 200)[1] > s.step_seconds(16, 1100),
    ],
)
def test_more_work_takes_longer(slower: Callable[[Speed], bool]) -> None:
    assert slower(Speed.of(EIGHT))


def test_a_mixture_reads_only_the_experts_that_are_asked() -> None:
    mixture = Speed.of(fit(find_model("qwen3-30b-a3b"), Setup(gpu=find_gpu("H100"), max_model_len=8192)))
    assert mixture.step_seconds(1, 100) < 0.5 * mixture.step_seconds(256, 100)


def test_a_promise_that_cannot_be_kept_carries_nothing() -> None:
    speed = Speed.of(EIGHT)
    assert sustainable(speed, Slo(tpot=0.001), prompt=100, output=100, sequences=64, kv_tokens=30_000).sequences == 0
    kept = sustainable(speed, Slo(), prompt=100, output=100, sequences=64, kv_tokens=30_000)
    assert kept.sequences > 0
    assert kept.tpot <= 0.1


# --- recorded time lines ---


def recording(path: Path, rows: Sequence[tuple[float, float, int]], head: str = "") -> Path:
    path.write_text(head + "seconds,metric,wanted\n" + "\n".join(f"{a},{b},{c}" for a, b, c in rows) + "\n")
    return path


def test_a_recording_of_the_same_rules_is_matched_and_one_of_others_is_not(tmp_path: Path) -> None:
    rules = Rules(maximum=3, up_window=0)
    samples = tuple(Sample(t, 12 if t >= 60 else 0, 1) for t in range(0, 300, 5))
    said = compare(Timeline(samples, rules, 5))
    file = recording(tmp_path / "a.csv", [(t, s.metric, m) for s, (t, _, m) in zip(samples, said.samples, strict=True)])
    assert compare(timeline(file, rules, 5)).equal == 1
    assert compare(timeline(file, replace(rules, maximum=2), 5)).equal < 0.9


def test_what_is_over_the_slots_of_ready_replicas_waits(tmp_path: Path) -> None:
    file = tmp_path / "line.csv"
    file.write_text("# slots=8 target=5\nseconds,rate,in_flight,wanted,ready\n1,0,20,1,1\n2,0,20,3,3\n")
    assert [s.metric for s in timeline(file, Rules(), 1).samples] == [12, 0]


def test_when_the_scaler_looks_is_taken_from_the_recording(tmp_path: Path) -> None:
    """The same loop, begun seven seconds later, is still the same loop."""
    rules = Rules(maximum=4, up_window=0)
    rows = [(t, 12 if t >= 20 else 0, 1 if t < 37 else 3) for t in range(90)]
    assert compare(timeline(recording(tmp_path / "a.csv", rows), rules, 5)).equal == 1


@pytest.mark.parametrize("file", sorted((TESTS / "data" / "timelines").glob("*.csv")), ids=lambda f: f.stem)
def test_the_loop_wants_what_the_cluster_wanted(file: Path) -> None:
    assert compare(timeline(file, Rules(), 5)).equal >= 0.95


def test_rules_in_the_file_go_before_those_given(tmp_path: Path) -> None:
    file = recording(tmp_path / "a.csv", [(0, 50, 1), (15, 50, 4)], "# target=10 maximum=4 up_window=0 up_pods=3\n")
    read = timeline(file, Rules(), 5)
    assert (read.target, read.rules.maximum, read.rules.up_pods) == (10, 4, 3)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("seconds,metric\n1,2\n", "no column wanted"),
        ("seconds,metric,wanted\n1,2,three\n", "sample 1"),
        ("# speed=3\nseconds,metric,wanted\n1,2,3\n", "speed is no rule"),
        ("# target=x\nseconds,metric,wanted\n1,2,3\n", "target=x"),
    ],
)
def test_a_broken_recording_is_refused_by_what_is_wrong(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "timeline.csv"
    file.write_text(content)
    with pytest.raises(UserError, match=said):
        timeline(file, Rules(), 5)


def test_the_plot_is_a_drawing_of_both_charts() -> None:
    result = ran(steady(2, 300), strategies.waiting(Rules(maximum=3), 1))
    drawing = ElementTree.fromstring(svg(result))  # noqa: S314
    assert len(drawing.findall("{http://www.w3.org/2000/svg}polyline")) == 4
    assert "inside the SLO" in svg(result)


def test_a_view_adds_up_its_demand() -> None:
    assert View(0, 1, 2, 3, 0, 0, 0, 1, 1).demand == 6
