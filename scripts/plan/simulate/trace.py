"""Request traces: when requests came, and how long their prompts and answers were."""

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from scripts.console import UserError

TIME = ("TIMESTAMP", "timestamp", "seconds", "time", "start", "started")
PROMPT = ("ContextTokens", "prompt_tokens", "prompt", "input_length", "Request tokens")
OUTPUT = (
    "GeneratedTokens",
    "completion_tokens",
    "output_tokens",
    "output",
    "output_length",
    "Response tokens",
    "received",
)
DRIVER_PROMPT = 20
"""Tokens of a prompt of `vllm-charts bench traffic`, whose log does not count them: a short sentence."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``arrival`` in seconds from the start of the trace, lengths in tokens."""

    arrival: float
    prompt: int
    output: int


def load(path: Path) -> list[Request]:
    """Reads a trace, earliest request first.

    CSV or JSON lines. Known are the Azure LLM inference trace of 2023 (TIMESTAMP, ContextTokens, GeneratedTokens),
    BurstGPT and Mooncake by their columns, the log of `vllm-charts bench traffic`, and any file with a time,
    prompt_tokens and completion_tokens. Raises UserError naming the column or line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"--trace: {path} cannot be read ({error.strerror})",
            why="the planner ships no traces; docs/planner.md says where to get the Azure trace (CC-BY 4.0)",
            fix="--trace FILE.csv with TIMESTAMP, ContextTokens, GeneratedTokens",
        ) from error
    rows = _json_lines(path, text) if path.suffix in (".jsonl", ".ndjson") else list(csv.DictReader(text.splitlines()))
    if not rows:
        raise UserError(f"--trace: {path} has no requests", fix="name a CSV file with a header and rows")
    if "windows" in rows[0]:  # the traffic driver's log: its first line says how it was started
        rows = [{**row, "prompt": DRIVER_PROMPT} for row in rows[1:]]
    time, prompt, output = (_column(path, rows[0] if rows else {}, names) for names in (TIME, PROMPT, OUTPUT))
    found = [_request(path, number, row, time, prompt, output) for number, row in enumerate(rows, 2)]
    return from_zero(r for r in found if r.output > 0 or r.prompt > 0)


def from_zero(requests: Iterable[Request]) -> list[Request]:
    """The same requests, sorted, the first at second 0."""
    ordered = sorted(requests, key=lambda r: r.arrival)
    first = ordered[0].arrival if ordered else 0.0
    return [Request(r.arrival - first, r.prompt, max(1, r.output)) for r in ordered]


def scaled(requests: list[Request], factor: float) -> list[Request]:
    """The same requests ``factor`` times as fast: the shape stays, the rate grows."""
    return [Request(r.arrival / factor, r.prompt, r.output) for r in requests]


def _json_lines(path: Path, text: str) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise UserError(
                f"--trace: {path} line {number} is not JSON: {error}", fix="one JSON object a line"
            ) from error
    return rows


def _column(path: Path, row: dict[str, Any], names: tuple[str, ...]) -> str:
    found = next((name for name in names if name in row), None)
    if found is None:
        raise UserError(
            f"--trace: {path} has no column {names[0]}",
            why=f"found are {', '.join(row)}",
            fix=f"name one column {' or '.join(names[:3])}",
        )
    return found


def _request(path: Path, line: int, row: dict[str, Any], time: str, prompt: str, output: str) -> Request:
    try:
        return Request(
            _seconds(row[time], milliseconds="hash_ids" in row), int(float(row[prompt])), int(float(row[output]))
        )
    except (TypeError, ValueError) as error:
        raise UserError(
            f"--trace: {path} line {line}: {error}", fix="a time and two whole numbers of tokens"
        ) from error


def _seconds(value: Any, *, milliseconds: bool) -> float:
    """Seconds of a number, or of a date and time (the Azure trace has seven digits of a second)."""
    try:
        return float(value) / (1000 if milliseconds else 1)
    except ValueError:
        whole, _, fraction = str(value).partition(".")
        return datetime.fromisoformat(whole).timestamp() + float(f"0.{fraction or 0}")
