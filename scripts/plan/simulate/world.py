"""The simulation: arrivals, gateway, replicas, scraping, scaling, cold starts, on one clock (simpy)."""

import random
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import simpy

from scripts.plan.latency import Slo
from scripts.plan.simulate.engine import Capacity, Replica, Served
from scripts.plan.simulate.scaler import Controller, Rules
from scripts.plan.simulate.trace import Request

PATIENCE = 3600.0
"""Seconds after the last arrival in which a simulation must end; what is left then was never answered."""
RECENT = 45.0
"""Seconds of answers that a percentile of latency looks back on."""


@dataclass(frozen=True)
class View:
    """What the metrics say at one scrape."""

    time: float
    waiting: int
    """Requests waiting in the engines."""
    running: int
    held: int
    """Requests held by the gateway because no replica is ready."""
    kv_usage: float
    """Mean over the ready replicas."""
    ttft_p90: float
    """Of the answers that began in the last 45 s; 0 where there were none."""
    tpot_p90: float
    replicas: int
    """Wanted so far."""
    ready: int

    @property
    def demand(self) -> int:
        return self.waiting + self.running + self.held


@dataclass(frozen=True)
class Strategy:
    """A way to choose the number of replicas. ``raw`` turns a view into replicas; rules and controller do the rest."""

    name: str
    rules: Rules
    raw: Callable[[View], int]
    start: int
    """Replicas that are ready when the trace begins."""


@dataclass(frozen=True)
class Setting:
    """What all strategies of a comparison share."""

    capacity: Capacity
    gpus: int
    """Of one replica."""
    slo: Slo
    cold_start: float
    """Usual seconds from wanted to ready."""
    spread: float = 0.15
    """Relative standard deviation of it."""
    per_server_limit: int | None = None
    """The most requests that the gateway gives one replica; the rest is held."""
    seed: int = 1


@dataclass
class Result:
    """What happened. Times in seconds."""

    strategy: str
    served: list[Served]
    views: list[View]
    gpu_seconds: float
    starts: int
    duration: float
    slo: Slo

    @property
    def attainment(self) -> float:
        """Share of all requests that met both promises; one never answered met none."""
        met = sum(1 for s in self.served if s.end >= 0 and s.ttft <= self.slo.ttft and s.tpot <= self.slo.tpot)
        return met / len(self.served) if self.served else 1.0

    @property
    def gpu_hours(self) -> float:
        return self.gpu_seconds / 3600

    def ttft(self, share: float) -> float:
        """A percentile of the time to first token; unanswered requests count as infinite."""
        values = sorted(s.ttft if s.first_token >= 0 else float("inf") for s in self.served)
        return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0

    def tpot(self, share: float) -> float:
        values = sorted(s.tpot for s in self.served if s.end >= 0)
        return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0

    @property
    def longest_queue(self) -> int:
        return max((v.waiting + v.held for v in self.views), default=0)


@dataclass
class World:
    """One run. Use ``run``."""

    requests: list[Request]
    setting: Setting
    strategy: Strategy
    progress: Callable[[float], None] | None = None
    env: simpy.Environment = field(default_factory=simpy.Environment)
    ready: list[Replica] = field(default_factory=list)
    draining: list[Replica] = field(default_factory=list)
    starting: list[simpy.Process] = field(default_factory=list)
    held: deque[Served] = field(default_factory=deque)
    answers: deque[Served] = field(default_factory=deque)
    served: list[Served] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    wanted: int = 0
    gpu_seconds: float = 0.0
    starts: int = 0
    open: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.setting.seed)
        self.duration = self.requests[-1].arrival if self.requests else 0.0
        self.controller = Controller(self.strategy.rules)
        self.wanted = self.strategy.start
        self.ready = [Replica(self.setting.capacity, 0.0) for _ in range(self.wanted)]
        self._billed = 0.0

    def run(self) -> Result:
        env = self.env
        env.process(self._arrivals())
        env.process(self._every(self.strategy.rules.scrape, 0.0, self._scrape))
        env.process(self._every(self.strategy.rules.sync, 7.0, self._scale))
        env.process(self._every(self.strategy.rules.polling, 1.0, self._activate))
        end = self.duration + PATIENCE
        while env.peek() <= end and (self.open or env.now < self.duration):
            env.step()
        self._bill()
        return Result(
            self.strategy.name, self.served, self.views, self.gpu_seconds, self.starts, self.duration, self.setting.slo
        )

    def _every(self, seconds: float, offset: float, act: Callable[[], None]) -> Generator[Any, Any, None]:
        yield self.env.timeout(offset)
        while True:
            act()
            yield self.env.timeout(seconds)

    def _arrivals(self) -> Generator[Any, Any, None]:
        for request in self.requests:
            if request.arrival > self.env.now:
                yield self.env.timeout(request.arrival - self.env.now)
            served = Served(request)
            self.served.append(served)
            self.open += 1
            self._dispatch(served)

    def _dispatch(self, served: Served) -> None:
        """To the least loaded replica; held where none is ready or all are at their limit."""
        replica = min(self.ready, key=lambda r: r.load, default=None)
        limit = self.setting.per_server_limit
        if replica is None or (limit and replica.load >= limit):
            self.held.append(served)
            return
        self._advance(replica)
        replica.accept(served)
        self._arm(replica)

    def _advance(self, replica: Replica) -> None:
        ended = replica.advance(self.env.now)
        self.open -= len(ended)
        self.answers.extend(ended)
        if replica.draining and not replica.load and replica in self.draining:
            self._bill()
            self.draining.remove(replica)

    def _arm(self, replica: Replica) -> None:
        """Sets a timer for the replica's next event; a change in between makes it stale."""
        delay = replica.next_event()
        if delay == float("inf"):
            return
        version = replica.version
        timer = self.env.timeout(delay)
        timer.callbacks.append(lambda _: self._ring(replica, version))

    def _ring(self, replica: Replica, version: int) -> None:
        if replica.version != version:
            return
        self._advance(replica)
        self._arm(replica)
        self._release()

    def _release(self) -> None:
        """Gives held requests to replicas, in order, as far as limits allow."""
        limit = self.setting.per_server_limit
        while self.held and self.ready:
            if limit and min(r.load for r in self.ready) >= limit:
                return
            self._dispatch(self.held.popleft())

    def _scrape(self) -> None:
        for replica in self.ready:
            self._advance(replica)
        while self.answers and self.answers[0].end < self.env.now - RECENT:
            self.answers.popleft()
        ready = self.ready
        self.views.append(
            View(
                time=self.env.now,
                waiting=sum(len(r.waiting) for r in ready),
                running=sum(len(r.running) + len(r.prefill) for r in ready),
                held=len(self.held),
                kv_usage=sum(r.kv_usage for r in ready) / len(ready) if ready else 0.0,
                ttft_p90=_p90([s.ttft for s in self.answers]),
                tpot_p90=_p90([s.tpot for s in self.answers]),
                replicas=self.wanted,
                ready=len(ready),
            )
        )
        for replica in ready:
            self._arm(replica)
        if self.progress:
            self.progress(min(self.env.now, self.duration))

    def _scale(self) -> None:
        if self.views:
            self._want(self.controller.decide(self.env.now, self.strategy.raw(self.views[-1]), self.wanted))

    def _activate(self) -> None:
        """KEDA reads the gateway itself, so this is not as old as a scrape."""
        demand = len(self.held) + sum(r.load for r in self.ready)
        self._want(self.controller.activate(self.env.now, demand, self.wanted))

    def _want(self, wanted: int) -> None:
        """Starts or stops replicas until as many are there or on their way as wanted."""
        if wanted == self.wanted:
            return
        self._bill()
        self.wanted = wanted
        while len(self.ready) + len(self.starting) < wanted:
            self.starting.append(self.env.process(self._start()))
        while len(self.ready) + len(self.starting) > wanted and self.starting:
            self.starting.pop().interrupt()
        while len(self.ready) > wanted:
            self._stop(min(self.ready, key=lambda r: r.load))

    def _start(self) -> Generator[Any, Any, None]:
        self.starts += 1
        delay = max(0.3, self.random.gauss(1.0, self.setting.spread)) * self.setting.cold_start
        me = self.env.active_process
        try:
            yield self.env.timeout(delay)
        except simpy.Interrupt:
            return
        self.starting = [p for p in self.starting if p is not me]
        self.ready.append(Replica(self.setting.capacity, self.env.now))
        self._release()

    def _stop(self, replica: Replica) -> None:
        """Takes no new requests; what it has queued goes back, what runs may end."""
        self._advance(replica)
        self.ready.remove(replica)
        replica.draining = True
        queued = list(replica.waiting)
        replica.waiting.clear()
        if replica.load:
            self.draining.append(replica)
        for served in queued:
            self._dispatch(served)

    def _bill(self) -> None:
        """GPU time of replicas that are there, on their way or draining, while the trace runs."""
        now = min(self.env.now, self.duration)
        replicas = len(self.ready) + len(self.starting) + len(self.draining)
        self.gpu_seconds += max(0.0, now - self._billed) * replicas * self.setting.gpus
        self._billed = now


def _p90(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[int(0.9 * len(ordered))] if ordered else 0.0


def simulate(
    requests: list[Request], setting: Setting, strategy: Strategy, progress: Callable[[float], None] | None = None
) -> Result:
    """Replays a trace with one strategy. The same arguments give the same result."""
    return World(requests, setting, strategy, progress).run()
