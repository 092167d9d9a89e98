"""The control loop: KEDA's activation between 0 and 1, the HPA's arithmetic above.

Sources: kubernetes pkg/controller/podautoscaler (replica_calculator.go for the ratio and its tolerance, horizontal.go
for stabilizeRecommendationWithBehaviors and convertDesiredReplicasWithBehaviorRate) and KEDA's scale handler
(activation, cooldown). Written anew; scored against time lines recorded on a cluster (`plan simulate --compare`).
"""

import math
from dataclasses import dataclass, field

TOLERANCE = 0.1
JITTER = 1e-3
"""Seconds by which two looks are a little more than their period apart: what is a whole window old has left it."""


@dataclass(frozen=True)
class Rules:
    """The values under ``autoscaling`` of the chart, in seconds and pods."""

    minimum: int = 1
    maximum: int = 4
    up_window: float = 60
    up_pods: int = 2
    up_period: float = 120
    down_window: float = 600
    down_pods: int = 1
    down_period: float = 300
    sync: float = 15
    """How often the HPA looks."""
    scrape: float = 15
    """How often Prometheus looks: the age that a figure may have."""
    polling: float = 15
    """How often KEDA looks for a reason to wake."""
    cooldown: float = 300
    """Without demand for so long, the last replica goes."""
    activation: float = 0


def responsive(rules: Rules) -> Rules:
    """The chart's preset: no stabilisation on the way up."""
    return Rules(**{**rules.__dict__, "up_window": 0})


@dataclass
class Controller:
    """The HPA of one model, with its memory."""

    rules: Rules
    recommendations: list[tuple[float, int]] = field(default_factory=list)
    ups: list[tuple[float, int]] = field(default_factory=list)
    downs: list[tuple[float, int]] = field(default_factory=list)
    last_active: float = 0.0

    def decide(self, now: float, raw: int, current: int) -> int:
        """Replicas wanted from now on.

        Args:
            raw: what the metrics alone ask for.
            current: what is wanted so far.
        """
        if current == 0:  # only activation wakes
            return 0
        stable = self._stabilised(now, max(raw, 0), current)
        allowed = self._within_policies(now, stable, current)
        wanted = min(max(allowed, max(1, self.rules.minimum)), self.rules.maximum)
        self.note(now, current, wanted)
        return wanted

    def note(self, now: float, before: int, after: int) -> None:
        """Remembers a change, for the policies."""
        if after > before:
            self.ups.append((now, after - before))
        elif after < before:
            self.downs.append((now, before - after))

    def _stabilised(self, now: float, raw: int, current: int) -> int:
        """Up: the lowest wish of the up window; down: the highest of the down window."""
        up = down = raw
        if not self.recommendations:  # what is there counts as the first wish (recordInitialRecommendation)
            self.recommendations.append((now, current))
        for when, wish in self.recommendations:
            if when > now - self.rules.up_window + JITTER:
                up = min(up, wish)
            if when > now - self.rules.down_window + JITTER:
                down = max(down, wish)
        self.recommendations.append((now, raw))
        longest = max(self.rules.up_window, self.rules.down_window)
        self.recommendations = [(when, wish) for when, wish in self.recommendations if when > now - longest]
        return min(max(current, up), down)

    def _within_policies(self, now: float, wish: int, current: int) -> int:
        r = self.rules
        if wish > current:
            added = sum(n for when, n in self.ups if when > now - r.up_period + JITTER)
            removed = sum(n for when, n in self.downs if when > now - r.up_period + JITTER)
            return min(wish, max(current, current - added + removed + r.up_pods))
        if wish < current:
            added = sum(n for when, n in self.ups if when > now - r.down_period + JITTER)
            removed = sum(n for when, n in self.downs if when > now - r.down_period + JITTER)
            return max(wish, min(current, current + removed - added - r.down_pods))
        return current

    def activate(self, now: float, demand: float, current: int) -> int:
        """KEDA's part: wakes from 0, and puts the last replica to sleep after the cooldown."""
        if demand > self.rules.activation:
            self.last_active = now
            return max(current, 1)
        if self.rules.minimum == 0 and current > 0 and now - self.last_active >= self.rules.cooldown:
            return 0
        return current


def average_value(total: float, target: float, current: int) -> int:
    """An external metric of type AverageValue: total over target, unless that is within the tolerance of now."""
    if current and abs(total / (target * current) - 1) <= TOLERANCE:
        return current
    return math.ceil(total / target - 1e-9)


def ratio(value: float, target: float, replicas: int) -> int:
    """A metric of type Value or Utilization: replicas times value over target, with the tolerance."""
    if abs(value / target - 1) <= TOLERANCE:
        return replicas
    return math.ceil(replicas * value / target - 1e-9)
