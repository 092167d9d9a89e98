"""Scores of the planner on measured cases, against the targets it is held to."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from scripts.plan.cases import LatencyCase, MemoryCase, StartCase, latency_cases, memory_cases, start_cases
from scripts.plan.fit import TIGHT_MARGIN, Fit, fit
from scripts.plan.startup import plan


@dataclass(frozen=True)
class Target:
    """One figure against its target."""

    what: str
    value: float
    target: float
    at_least: bool
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.value >= self.target if self.at_least else self.value <= self.target


@dataclass(frozen=True)
class MemoryScore:
    """A case and what the planner said."""

    case: MemoryCase
    answer: Fit

    @property
    def right(self) -> bool:
        """``tight`` is right only where the best guess is within the stated margin of the need."""
        if self.answer.verdict == "tight":
            return abs(self.answer.spare) <= TIGHT_MARGIN * self.answer.setup.memory
        return (self.answer.verdict == "fits") == self.case.starts

    @property
    def refused_one_that_started(self) -> bool:
        return self.case.starts and self.answer.verdict == "does not fit"

    @property
    def kv_error(self) -> float | None:
        """Share that the KV memory is off; None where none was logged or it was negative."""
        logged = self.case.kv_bytes
        return abs(self.answer.available.mid - logged) / logged if logged and logged > 0 else None


@dataclass(frozen=True)
class StartScore:
    """A case, what the planner expects and the bound it gives."""

    case: StartCase
    expected: float
    bound: float

    @property
    def covered(self) -> bool:
        return self.bound >= self.case.seconds

    @property
    def ratio(self) -> float:
        return self.bound / self.case.seconds


def score_memory(path: Path) -> tuple[list[MemoryScore], list[tuple[str, str]]]:
    """Scores, and the cases left out with their reason."""
    cases, left_out = memory_cases(path)
    return [MemoryScore(c, fit(c.model, c.setup)) for c in cases], left_out


def score_start(path: Path) -> tuple[list[StartScore], list[tuple[str, str]]]:
    """Scores, and the cases left out with their reason."""
    cases, left_out = start_cases(path)
    return [_start_score(c) for c in cases], left_out


def _start_score(case: StartCase) -> StartScore:
    parts = [p for p in plan(case.start).phases if p.name in case.phases]
    return StartScore(case, sum(p.expected for p in parts), sum(p.bound for p in parts))


@dataclass(frozen=True)
class LatencyScore:
    """A case, and how far off both times are (0.1: ten per cent)."""

    case: LatencyCase
    ttft_error: float
    tpot_error: float


def score_latency(path: Path) -> tuple[list[LatencyScore], list[tuple[str, str]]]:
    """Scores, and the cases left out with their reason."""
    cases, left_out = latency_cases(path)
    scores = []
    for case in cases:
        ttft, tpot = case.speed.under_load(case.concurrency, case.prompt, case.output)
        scores.append(LatencyScore(case, abs(ttft / case.ttft - 1), abs(tpot / case.tpot - 1)))
    return scores, left_out


def memory_targets(scores: list[MemoryScore]) -> list[Target]:
    errors = sorted(s.kv_error for s in scores if s.kv_error is not None and s.case.exact_version)
    return [
        Target("refusals of a configuration that started", sum(s.refused_one_that_started for s in scores), 0, False),
        Target("verdicts right", 100 * sum(s.right for s in scores) / len(scores), 95, True, "%"),
        Target("KV memory off, median, version known", 100 * median(errors), 5, False, "%"),
        Target("KV memory off, p90, version known", 100 * p90(errors), 15, False, "%"),
    ]


def start_targets(scores: list[StartScore]) -> list[Target]:
    return [
        Target(
            "starts and phases inside their bound", 100 * sum(s.covered for s in scores) / len(scores), 95, True, "%"
        ),
        Target("bound / measured, median", median(s.ratio for s in scores), 3, False, "x"),
    ]


def p90(values: list[float]) -> float:
    """The 90th percentile, interpolated; the only value where there is one."""
    return quantiles(values, n=10, method="inclusive")[8] if len(values) > 1 else values[0]
