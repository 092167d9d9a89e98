"""What all tests share: the marks of the tiers, and the table of times at the end of a run."""

import time
from collections import defaultdict
from pathlib import Path

import pytest
from rich.table import Table

from scripts.bench.renders import WHOLE
from scripts.console import console, seconds
from scripts.paths import ARTIFACTS, TESTS

CLUSTER = TESTS / "cluster"
TRAFFIC = tuple(
    TESTS / path
    for path in (
        "gateway",
        "unit/bench",
        "unit/test_hub_download.py",
        "unit/test_helm_test.py",
        "monitoring/test_platform_live.py",
        "examples/test_clients.py",
    )
)
"""Tests that send real requests to real processes and wait for what time brings: windows of limits, drains, queues."""


def pytest_configure(config: pytest.Config) -> None:
    """Starts the clock."""
    named = config.args_source is not pytest.Config.ArgsSource.TESTPATHS and config.args != ["tests/cluster"]
    config.pluginmanager.register(Timekeeper(whole=not (named or config.option.keyword)))


def suite_of(nodeid: str) -> str:
    """The suite of a test: its file below tests/cluster, elsewhere its folder."""
    parts = Path(nodeid.split("::")[0]).parts
    below = parts[parts.index(TESTS.name) + 1 :]
    return "/".join(below[:2]) if below[0] == CLUSTER.name else below[0]


class Timekeeper:
    """Adds up the time of each suite and compares it with the budget that the suite states.

    A file below tests/cluster states its budget as ``BUDGET_SECONDS``. Going over it is shown, not failed: a machine
    may be slower than the one that the budget was made for.

    Attributes:
        whole: whether a whole tier runs, and not what somebody picked of it.
    """

    def __init__(self, *, whole: bool) -> None:
        self.whole = whole
        self.began = time.monotonic()
        self.times: dict[str, float] = defaultdict(float)
        self.budgets: dict[str, float] = {}
        self.tiers: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Marks the tests by their tier, and takes the budgets of those that need the cluster."""
        for item in items:
            if any(item.path.is_relative_to(folder) for folder in TRAFFIC):
                item.add_marker(pytest.mark.traffic)
            if not item.path.is_relative_to(CLUSTER):
                continue
            item.add_marker(pytest.mark.cluster)
            budget = getattr(getattr(item, "module", None), "BUDGET_SECONDS", None)
            if budget is None:
                raise pytest.UsageError(f"{item.path.name} states no BUDGET_SECONDS: how long may it take on 2 cores?")
            self.budgets[suite_of(item.nodeid)] = float(budget)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Counts set-up, test and tear-down."""
        self.times[suite_of(report.nodeid)] += report.duration
        self.tiers.add(next((tier for tier in ("cluster", "traffic", "exhaustive") if tier in report.keywords), "fast"))

    def pytest_terminal_summary(self) -> None:
        """Prints the table, and keeps it for the benchmark of the tiers."""
        if not self.times:
            return
        table = Table("suite", "took", "budget", "", title="Time of each suite", title_justify="left")
        for suite, took in sorted(self.times.items()):
            budget = self.budgets.get(suite)
            verdict = "" if budget is None else "[red]OVER[/]" if took > budget else "[green]ok[/]"
            table.add_row(suite, seconds(took), "" if budget is None else seconds(budget), verdict)
        console.print()
        console.print(table)
        console.print(f"The whole run took {seconds(time.monotonic() - self.began)}.")
        self.keep()

    def keep(self) -> None:
        """Writes the times of a tier to .artifacts: suite, seconds, budget, and the time of the whole run."""
        ARTIFACTS.mkdir(exist_ok=True)
        lines = [f"{suite}\t{took:.1f}\t{self.budgets.get(suite, '')}\n" for suite, took in sorted(self.times.items())]
        lines.append(f"{WHOLE}\t{time.monotonic() - self.began:.1f}\t\n")
        if self.whole and len(self.tiers) == 1:
            (ARTIFACTS / f"times-{min(self.tiers)}.tsv").write_text("".join(lines))
