"""The strategies of the comparison, each with the charts' rules unless it says otherwise."""

import math
from bisect import bisect_right
from dataclasses import replace
from statistics import mean

from scripts.plan.latency import Rate, Speed, sustainable
from scripts.plan.simulate.scaler import Rules, average_value, ratio
from scripts.plan.simulate.trace import Request
from scripts.plan.simulate.world import Setting, Strategy, View

CPU_REQUEST = 4.0
"""Cores that the charts request for an engine."""
OFTEN = 2.0
"""Seconds between KEDA's looks where minReplicas is 0."""


def carried(requests: list[Request], setting: Setting) -> Rate:
    """What one replica carries of this trace's mix inside the SLO."""
    prompt, output = mean(r.prompt for r in requests), mean(r.output for r in requests)
    c = setting.capacity
    return sustainable(c.speed, setting.slo, prompt=prompt, output=output, sequences=c.sequences, kv_tokens=c.kv_tokens)


def fixed(count: int) -> Strategy:
    return Strategy(f"fixed {count}", Rules(minimum=count, maximum=count), lambda _: count, count)


def hpa_cpu(rules: Rules, start: int, target: float = 0.7) -> Strategy:
    """HPA on CPU utilisation. An engine's loop keeps about one core busy however much or little it does."""

    def raw(view: View) -> int:
        cores = (1.0 if view.running else 0.05) + 0.004 * view.running / max(1, view.ready)
        return ratio(cores / CPU_REQUEST, target, max(1, view.ready))

    return Strategy(f"HPA on CPU {target:.0%}", rules, raw, start)


def waiting(rules: Rules, start: int, threshold: float = 5) -> Strategy:
    """KEDA on requests waiting in the engines."""
    return Strategy(
        f"KEDA on waiting > {threshold:g}", rules, lambda v: average_value(v.waiting, threshold, v.replicas), start
    )


def kv_cache(rules: Rules, start: int, threshold: float = 0.8) -> Strategy:
    """KEDA on the share of the KV cache in use."""
    return Strategy(
        f"KEDA on KV cache > {threshold:.0%}", rules, lambda v: ratio(v.kv_usage, threshold, max(1, v.ready)), start
    )


def demand(rules: Rules, start: int, concurrency: float) -> Strategy:
    """KEDA on running, queued and held requests against what one replica is meant to carry."""
    return Strategy(
        f"KEDA on demand, {concurrency:g} each",
        rules,
        lambda v: average_value(v.demand, concurrency, v.replicas),
        start,
    )


def slo_law(rules: Rules, start: int, setting: Setting) -> Strategy:
    """The larger of p90 TTFT and p90 time per token over its promise, at most doubling (llm-d's SLO-aware law)."""

    def raw(view: View) -> int:
        worst = max(view.ttft_p90 / setting.slo.ttft, view.tpot_p90 / setting.slo.tpot)
        return ratio(min(2.0, worst), 1.0, max(1, view.ready))

    return Strategy("SLO law", rules, raw, start)


def to_zero(rules: Rules, start: int, concurrency: float, cooldown: float) -> Strategy:
    """Demand, and zero replicas after the cooldown; the gateway holds what comes meanwhile."""
    zero = replace(rules, minimum=0, polling=OFTEN, cooldown=cooldown)
    return Strategy(
        f"demand {concurrency:g}, to zero", zero, lambda v: average_value(v.demand, concurrency, v.replicas), start
    )


def oracle(
    requests: list[Request], setting: Setting, maximum: int, *, share: float = 0.8, bin_seconds: float = 30
) -> Strategy:
    """Knows the trace: wants what the next minutes need, one cold start ahead, and nothing more.

    Args:
        share: of what a replica carries inside the SLO, that is planned with.
    """
    rate = max(carried(requests, setting).requests_per_second, 1e-9)
    prompt, output = mean(r.prompt for r in requests), mean(r.output for r in requests)
    speed, together = setting.capacity.speed, max(1, carried(requests, setting).sequences)
    whole = _work(speed, prompt, output, together)
    bins = int(requests[-1].arrival // bin_seconds) + 1
    load = [0.0] * bins
    for r in requests:
        load[int(r.arrival // bin_seconds)] += _work(speed, r.prompt, r.output, together) / whole
    need = [max(1, math.ceil(n / bin_seconds / rate / share)) for n in load]
    ahead = math.ceil(setting.cold_start * (1 + 2 * setting.spread) / bin_seconds)
    wanted = [min(maximum, max(need[i : i + ahead + 2])) for i in range(bins)]
    times = [i * bin_seconds for i in range(bins)]
    free = Rules(1, maximum, up_window=0, up_pods=maximum, up_period=1, down_window=0, down_pods=maximum, down_period=1)
    return Strategy("oracle", free, lambda v: wanted[max(0, bisect_right(times, v.time) - 1)], wanted[0])


def _work(speed: Speed, prompt: float, output: float, together: int) -> float:
    """Seconds of a replica that one request takes, run beside others."""
    return speed.prefill_seconds(prompt) + output * speed.step_seconds(together, prompt + output / 2) / together


def comparison(requests: list[Request], setting: Setting, rules: Rules) -> list[Strategy]:
    """The table's strategies: fixed at the mean and at the peak of what is needed, five loops, zero, and the oracle.

    All begin with what the first minutes need: a trace is a piece of a service that runs already.
    """
    carries = carried(requests, setting)
    concurrency = max(1, round(0.8 * carries.sequences))
    best = oracle(requests, setting, rules.maximum)
    needs = [best.raw(View(t, 0, 0, 0, 0, 0, 0, 0, 0)) for t in range(0, int(requests[-1].arrival) + 1, 30)]
    start = best.start
    cooldown = max(300.0, 2 * setting.cold_start + 60)
    return [
        *(fixed(n) for n in sorted({math.ceil(mean(needs)), max(needs)})),
        hpa_cpu(rules, start),
        waiting(rules, start),
        kv_cache(rules, start),
        slo_law(rules, start, setting),
        *(demand(rules, start, n) for n in sorted({concurrency, max(1, concurrency // 2)}, reverse=True)),
        to_zero(rules, start, concurrency, cooldown),
        best,
    ]
