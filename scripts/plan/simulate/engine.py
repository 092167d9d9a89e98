"""One replica: continuous batching as a fluid.

All running sequences get one token a step, so between two events they advance together: a counter of tokens grows at
one over the step's length, and each sequence ends when the counter has grown by its output. Prompts are computed
first come, first served, in chunks beside the decoding steps, as chunked prefill does.
"""

import heapq
from collections import deque
from dataclasses import dataclass, field

from scripts.plan.latency import FIRST_TOKEN_STEPS, Speed
from scripts.plan.simulate.trace import Request

EPSILON = 1e-9
WATERMARK = 0.98
"""Share of the cache up to which new prompts are let in."""


@dataclass(slots=True)
class Served:
    """What became of a request. Times in seconds since the start of the trace; -1: not yet."""

    request: Request
    first_token: float = -1.0
    end: float = -1.0
    produced: int = 0
    """Tokens it had when it was preempted: they are computed again, with the prompt."""

    @property
    def ttft(self) -> float:
        return self.first_token - self.request.arrival

    @property
    def to_compute(self) -> int:
        """Tokens that a prefill computes."""
        return max(1, self.request.prompt + self.produced)

    @property
    def tpot(self) -> float:
        """Seconds between tokens."""
        return (self.end - self.first_token) / max(1, self.request.output - 1)


@dataclass(frozen=True)
class Capacity:
    """What one replica holds: sequences, tokens of KV cache, tokens of one step."""

    speed: Speed
    sequences: int
    kv_tokens: int
    batched_tokens: int


@dataclass
class Replica:
    """A replica that is ready. Call ``advance`` before anything else at a new time."""

    capacity: Capacity
    now: float
    counter: float = 0.0
    """Tokens each running sequence has had since the replica began."""
    running: list[tuple[float, int, Served]] = field(default_factory=list)
    """Heap of (counter at which it ends, order, request)."""
    prefill: deque[Served] = field(default_factory=deque)
    """Admitted, prompt not yet computed."""
    prefill_left: float = 0.0
    """Tokens left of the first prompt."""
    waiting: deque[Served] = field(default_factory=deque)
    draining: bool = False
    context: float = 0.0
    """Sum of the lengths of the running sequences, in tokens."""
    promised: int = 0
    """Tokens of the prompts that are admitted and not yet computed."""
    preemptions: int = 0
    _order: int = 0
    version: int = 0
    """Grows with every change, so that a stale timer knows itself."""

    @property
    def load(self) -> int:
        return len(self.running) + len(self.prefill) + len(self.waiting)

    @property
    def kv_usage(self) -> float:
        """Share of the cache in use, as vllm:kv_cache_usage_perc."""
        return min(1.0, self._cached / self.capacity.kv_tokens)

    @property
    def _cached(self) -> float:
        """Tokens that the cache holds, or has promised to prompts."""
        return self.context + self.promised

    def accept(self, served: Served) -> None:
        self.waiting.append(served)
        self._admit()
        self.version += 1

    def _admit(self) -> None:
        """Moves waiting requests in while their prompts fit the cache, in order: one that does not holds the rest."""
        while self.waiting and len(self.running) + len(self.prefill) < self.capacity.sequences:
            need = self.waiting[0].to_compute
            busy = self.running or self.prefill
            if busy and self._cached + need > WATERMARK * self.capacity.kv_tokens:
                return
            self.prefill.append(self.waiting.popleft())
            self.promised += need
            if len(self.prefill) == 1:
                self.prefill_left = float(need)

    def _step(self) -> tuple[float, float]:
        """(seconds of the next steps, prompt tokens in each)."""
        count = len(self.running)
        speed = self.capacity.speed
        decode = speed.step_seconds(count, self.context / count) if count else 0.0
        if not self.prefill:
            return decode, 0.0
        chunk = min(self.prefill_left, max(1.0, self.capacity.batched_tokens - count))
        done = self.prefill[0].to_compute - self.prefill_left
        compute = speed.prefill_seconds(chunk, done)
        if not count:
            compute += speed.step_seconds(1, 0)
        return decode + compute, chunk

    def next_event(self) -> float:
        """Seconds until a prompt is computed or a sequence ends; infinity where nothing runs."""
        step, chunk = self._step()
        ends = [float("inf")]
        if chunk:
            ends.append(step * self.prefill_left / chunk)
        if self.running:
            ends.append((self.running[0][0] - self.counter) * step)
            ends.append((self.capacity.kv_tokens - self._cached) / len(self.running) * step)
        return max(min(ends), 0.0) + EPSILON

    def advance(self, now: float) -> list[Served]:
        """Lets time pass. Returns the requests that ended."""
        passed, self.now = now - self.now, now
        if passed <= 0 or not (self.running or self.prefill):
            return []
        step, chunk = self._step()
        steps = passed / step
        self.counter += steps
        self.context += steps * len(self.running)
        if chunk:
            self.prefill_left -= steps * chunk
        ended = self._finish()
        if self.prefill and self.prefill_left <= 1e-3:
            self._start_first()
            self.version += 1
        if ended:
            self._admit()
        elif self._cached >= self.capacity.kv_tokens - 1e-3 and len(self.running) > 1:
            self._preempt()
        else:
            return ended
        self.version += 1
        return ended

    def _finish(self) -> list[Served]:
        ended = []
        while self.running and self.running[0][0] <= self.counter + 1e-6:
            _, _, served = heapq.heappop(self.running)
            served.end = self.now
            self.context -= served.request.prompt + served.request.output
            ended.append(served)
        if not self.running:
            self.context = 0.0
        return ended

    def _start_first(self) -> None:
        """The first prompt is computed: its sequence decodes from here on."""
        served = self.prefill.popleft()
        self.promised -= served.to_compute
        count = len(self.running) + 1
        lag = FIRST_TOKEN_STEPS * self.capacity.speed.step_seconds(count, self.context / count)
        if served.first_token < 0:
            served.first_token = self.now + lag
        heapq.heappush(self.running, (self.counter + served.request.output - served.produced, self._order, served))
        self._order += 1
        self.context += served.to_compute
        self.prefill_left = float(self.prefill[0].to_compute) if self.prefill else 0.0

    def _preempt(self) -> None:
        """The cache is full: the youngest sequence gives its place up and is computed again later."""
        youngest = max(self.running, key=lambda entry: entry[1])
        self.running.remove(youngest)
        heapq.heapify(self.running)
        ends, _, served = youngest
        had = served.to_compute
        self.context -= had
        served.produced = min(served.request.output - 1, max(0, round(served.request.output - (ends - self.counter))))
        self.context -= served.to_compute - had
        self.waiting.appendleft(served)
        self.preemptions += 1
