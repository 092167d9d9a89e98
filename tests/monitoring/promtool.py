"""Evaluating rules and queries with Prometheus' own engine: promtool, from Debian's prometheus package."""

import functools
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.cluster.host import install

INTERVAL = "15s"
"""Seconds between two samples of a series here: the scrape interval that the charts set."""

LABELS = {
    "$a": 'model_name="org/model",engine="0",namespace="llm",pod="demo-5d9c8b7f66-aaaaa"',
    "$b": 'model_name="org/model",engine="0",namespace="llm",pod="demo-5d9c8b7f66-bbbbb"',
    # Series that must never count: a model whose name begins alike, and the same model in another namespace.
    "$longer": 'model_name="org/model",engine="0",namespace="llm",pod="demo-large-5d9c8b7f66-aaaaa"',
    "$elsewhere": 'model_name="org/model",engine="0",namespace="other",pod="demo-5d9c8b7f66-aaaaa"',
    "$podA": 'namespace="llm",pod="demo-5d9c8b7f66-aaaaa"',
    "$podB": 'namespace="llm",pod="demo-5d9c8b7f66-bbbbb"',
}
"""Label sets that cases name, so that a case is a line that can be read."""


@functools.cache
def binary() -> str:
    """The path of promtool, installed where that is possible.

    Its absence is an error and no reason to skip: nothing else can say what a query means.
    """
    if not shutil.which("promtool"):
        install(["prometheus"], purpose="the tests of alerts and queries")
    return shutil.which("promtool") or "promtool"


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs promtool."""
    return subprocess.run([binary(), *map(str, arguments)], capture_output=True, text=True, check=False)


def written(series: str) -> str:
    """A series of a case as promtool reads it."""
    for name in sorted(LABELS, key=len, reverse=True):
        series = series.replace(name, LABELS[name])
    return series


def check(tmp_path: Path, groups: Sequence[Mapping[str, Any]]) -> str:
    """What promtool has against groups of rules: syntax of queries and templates. Empty: nothing."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(json.dumps({"groups": groups}))
    done = promtool("check", "rules", rules)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def check_queries(tmp_path: Path, queries: Sequence[str]) -> str:
    """What promtool has against queries: each becomes a recording rule, as a rule is where promtool reads one."""
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    return check(tmp_path, [{"name": "queries", "rules": rules}])


def evaluate(
    tmp_path: Path,
    query: str,
    series: Mapping[str, str],
    at: str,
    expected: float | None,
    groups: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Evaluates a query over series and compares.

    Args:
        tmp_path: where files may be written.
        query: PromQL.
        series: values in promtool's notation (``5x10``, ``0+2x10``) by series; names of ``LABELS`` are filled in.
        at: when to evaluate (``5m``).
        expected: the one number that comes out, None for no data.
        groups: rules that run beside it.

    Returns:
        What promtool says where the result differs, else nothing.
    """
    rules = tmp_path / "rules.yaml"
    rules.write_text(json.dumps({"groups": groups}))
    samples = [] if expected is None else [{"labels": "{}", "value": expected}]
    test = {
        "rule_files": [str(rules)],
        "evaluation_interval": INTERVAL,
        "tests": [
            {
                "interval": INTERVAL,
                "input_series": [{"series": written(name), "values": str(values)} for name, values in series.items()],
                "promql_expr_test": [{"expr": query, "eval_time": at, "exp_samples": samples}],
            }
        ],
    }
    path = tmp_path / "test.yaml"
    path.write_text(json.dumps(test))
    done = promtool("test", "rules", path)
    return "" if done.returncode == 0 else done.stdout + done.stderr
