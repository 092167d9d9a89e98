"""``vllm-charts bench``: load on a server of yours, and the page that shows what the cluster tests recorded."""

import contextlib
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from scripts.bench import proof, renders
from scripts.bench.traffic import Report, Traffic, describe
from scripts.console import UserError, console
from scripts.paths import ARTIFACTS

app = typer.Typer()


@app.command()
def traffic(
    url: Annotated[str, typer.Argument(help="Base URL of any OpenAI-compatible server, without /v1.")],
    model: Annotated[str, typer.Argument(help="The name to ask for.")],
    seconds: Annotated[float, typer.Option(help="How long to start requests. 0: until Ctrl-C.")] = 60,
    rate: Annotated[str, typer.Option(help="Short requests per second: 20, or a profile 0:2,30:20,90:20.")] = "0",
    clients: Annotated[int, typer.Option(help="Clients that send one short request after another.")] = 0,
    tokens: Annotated[int, typer.Option(help="Tokens of a short request.")] = 16,
    stream_share: Annotated[float, typer.Option(min=0, max=1, help="Share of short requests that are streamed.")] = 0.5,
    streams: Annotated[int, typer.Option(help="Long streams in flight at all times.")] = 0,
    stream_tokens: Annotated[int, typer.Option(help="Tokens of a long stream.")] = 200,
    connections: Annotated[str, typer.Option(help="new: one for each request; keep: kept open.")] = "new",
    limit: Annotated[float, typer.Option(help="Seconds after which a request is given up.")] = 300,
    seed: Annotated[int, typer.Option(help="The same seed sends the same requests at the same times.")] = 1,
    key_variable: Annotated[str, typer.Option(help="Environment variable that holds the API key.")] = "OPENAI_API_KEY",
    output: Annotated[Path | None, typer.Option(help="Where every request is kept (JSON lines).")] = None,
) -> None:
    """Send requests and tell the fate of each: ok, refused, unreachable, error, cut or wrong.

    Change, scale, evict or kill what serves while it runs: it says what that cost. Ends with status 1 if anything was
    lost.
    """
    if not (clients or streams or rate != "0"):
        raise UserError("there is no load", fix="give one of --rate 20, --clients 10, --streams 100")
    options: dict[str, Any] = {
        "rate": rate, "clients": clients, "tokens": tokens, "stream_share": stream_share, "streams": streams,
        "stream_tokens": stream_tokens, "connections": connections, "limit": limit, "seed": seed,
        "key_variable": key_variable,
    }  # fmt: skip
    with Traffic(url.rstrip("/"), model, **options) as running, contextlib.suppress(KeyboardInterrupt):
        follow(running, seconds)
    report = running.report()
    path = output or ARTIFACTS / "traffic" / f"{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    report.write(path)
    show(report, path)
    if report.not_ok():
        raise typer.Exit(1)


@app.command(name="renders")
def render_times() -> None:
    """Measure a render of the model chart, and show how long the fast tests took, beside their budgets."""
    renders.show()


@app.command()
def gateway(
    rounds: Annotated[int, typer.Option(help="Rounds of every contender, interleaved; the median is told.")] = 5,
    seconds: Annotated[float, typer.Option(help="Seconds of one measurement.")] = 3,
    output: Annotated[Path, typer.Option(help="Where the figures are kept.")] = ARTIFACTS / "bench" / "gateway.json",
) -> None:
    """Measure what the gateway costs, beside the engine itself and vllm-router, in one run on this machine."""
    from scripts.gateway import bench

    results, streaming = bench.run(rounds, seconds)
    table = Table("contender", "body", "connections", "requests/s", "p50 ms", "p99 ms", "CPU us/request", "errors")
    for result in results:
        table.add_row(*(str(value) for value in asdict(result).values()))
    console.print(table)
    even = Table("contender", "longest gap between tokens sent every 50 ms", "tokens that came bunched")
    for entry in streaming:
        even.add_row(entry.contender, f"{entry.worst_gap_ms} ms", str(entry.bunched))
    console.print(even)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(bench.as_json(results, streaming), encoding="utf-8")
    console.print(f"kept in {output}")


def follow(running: Traffic, seconds: float) -> None:
    """Says what is under way until the time is up."""
    until = time.monotonic() + seconds if seconds else float("inf")
    with console.status("") as status:
        while time.monotonic() < until:
            now = running.status
            ended = ", ".join(f"{count} {fate}" for fate, count in now["ended"].items()) or "none"
            status.update(f"{now['in_flight']} requests in flight, ended: {ended}")
            time.sleep(0.5)
        status.update("waiting for what is in flight")
        running.tell("stop")


def show(report: Report, path: Path) -> None:
    """A table of the groups, and the first failures."""
    table = Table("requests", "all", "ok", "refused", "unreachable", "error", "cut", "wrong", "TTFT p50", "p95")
    for group in sorted({request.group for request in report.requests}):
        fates = report.fates(group)
        cells = [str(fates[fate]) for fate in ("ok", "refused", "unreachable", "error", "cut", "wrong")]
        times = [report.percentile(share, lambda each: each.first - each.started, group) for share in (0.5, 0.95)]
        table.add_row(group, str(len(report.of(group))), *cells, *(f"{value * 1000:.0f} ms" for value in times))
    console.print(table)
    for request in report.not_ok()[:10]:
        console.print(f"  {describe(request)}", markup=False)
    console.print(f"Every request is in {path}.")


@app.command(name="proof")
def write_proof() -> None:
    """Write docs/proof.md from what the cluster tests recorded."""
    proof.write()
    console.print(f"{len(proof.collect())} scenarios are in {proof.PAGE}")
