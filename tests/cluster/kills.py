"""The engine of one pod is killed under load: what was lost, and which of it the dead process held."""

import signal
from dataclasses import dataclass

from scripts.bench import local
from scripts.bench.load import Request
from scripts.bench.traffic import Traffic
from tests.cluster.pods import pods
from tests.cluster.scenario import Outcome, Scenario


@dataclass(frozen=True)
class Kill:
    """What came of it.

    Attributes:
        held: requests that the engine ran or had waiting, by its own metrics.
        at: Unix seconds of the signal.
    """

    outcome: Outcome
    held: int
    at: float

    @property
    def lost(self) -> list[Request]:
        """Every request without a whole answer."""
        return self.outcome.report.not_ok()

    @property
    def cut(self) -> list[Request]:
        """Those whose answer had begun."""
        return [each for each in self.lost if each.fate == "cut"]

    @property
    def late(self) -> list[Request]:
        """Those that were sent to the dead process."""
        return [each for each in self.lost if each.fate != "cut"]

    @property
    def longest(self) -> float:
        """Seconds until the last of the lost was told."""
        return max(each.ended for each in self.lost) - self.at

    def record_behind_service(self) -> None:
        """Keeps the figures of a path that cannot try another pod."""
        self.outcome.record(
            note=f"{len(self.cut)} answers of the dead process ended within {self.longest:.1f} s; {len(self.late)} "
            "requests found it gone before its endpoint was (a gateway retries them)"
        )


def kill_engine(scenario: Scenario, requests: int = 300) -> Kill:
    """Kills the engine of one pod under load, and waits until so many more requests have ended."""
    victim, sent = pods(scenario)[0], (0, 0.0)

    def event(traffic: Traffic) -> None:
        nonlocal sent
        pid = local.engine_pids(scenario.cluster, victim, scenario.namespace)[0]
        held = local.requests_in(scenario.cluster, victim, scenario.namespace)
        sent = held, local.send_signal(scenario.cluster, pid, signal.SIGKILL)
        traffic.wait_for_requests(len(traffic.requests) + requests)

    outcome = scenario.run("engine killed (SIGKILL)", event)
    return Kill(outcome, *sent)
