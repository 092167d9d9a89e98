"""Reading queries: which series and labels they ask for, and which there are."""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from scripts.paths import TESTS

SCRAPED = {"namespace", "pod", "job", "instance", "container", "cluster", "le"}
"""Labels that the scrape adds, and the one of buckets."""

FUNCTIONS = {"histogram_quantile", "max_over_time", "min_over_time", "label_values"}
"""What looks like a metric and is none: functions with an underscore."""


def known() -> dict[str, set[str]]:
    """Labels by series, with the suffixes under which a histogram is read."""
    lines = [line for line in (TESTS / "data" / "metrics.csv").read_text().splitlines() if line[0] != "#"]
    found: dict[str, set[str]] = {}
    for row in csv.DictReader(lines):
        suffixes = ("_bucket", "_sum", "_count") if row["type"] == "histogram" else ("",)
        found |= {row["name"] + suffix: set(row["labels"].split()) | SCRAPED for suffix in suffixes}
    return found


def dashboard_queries(paths: Iterable[Path]) -> Iterator[str]:
    """Every query of dashboards as Prometheus gets it, variables aside."""
    for path in paths:
        for panel in json.loads(path.read_text())["panels"]:
            yield from (target["expr"].replace("$__rate_interval", "1m") for target in panel.get("targets", []))


def selectors(query: str) -> Iterator[tuple[str, set[str]]]:
    """The series that a query reads, with the labels that it asks for. Strings may hold anything: they are emptied."""
    plain = re.sub(r'"[^"]*"', '""', query)
    for name, matchers in re.findall(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^}]*)\}", plain):
        yield name, set(re.findall(r"([a-zA-Z_]+)\s*(?:=~|!~|!=|=)", matchers))
    bare = re.sub(r"\{[^}]*\}", "", plain)
    for name in re.findall(
        r"\b(?:vllm:|kube_|DCGM_|http_|rollout_|haproxy_|keda_|llm_gateway_|[a-z_]+:llm_)[a-zA-Z0-9_:]+", bare
    ):
        yield name, set()


def unknown(queries: Iterable[str], there: dict[str, set[str]]) -> set[tuple[str, str]]:
    """Series that nobody emits (with ""), and labels that a series does not have."""
    read = [found for query in queries for found in selectors(query)]
    series = {(name, "") for name, _ in read if name not in there and name not in FUNCTIONS}
    return series | {(name, label) for name, labels in read if name in there for label in labels - there[name]}
