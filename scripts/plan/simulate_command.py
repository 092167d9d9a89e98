"""``plan simulate``: strategies on a trace, sweeps of one threshold, recorded time lines against the model."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from scripts.console import UserError, console
from scripts.plan import options as o
from scripts.plan import startup, tables
from scripts.plan.catalog import GIB, find_gpu
from scripts.plan.fit import Fit, Setup, fit
from scripts.plan.latency import Slo, Speed
from scripts.plan.simulate import strategies, trace
from scripts.plan.simulate.compare import compare as compare_timeline
from scripts.plan.simulate.compare import timeline
from scripts.plan.simulate.engine import Capacity
from scripts.plan.simulate.plot import svg
from scripts.plan.simulate.scaler import Rules
from scripts.plan.simulate.world import Result, Setting, Strategy, simulate
from scripts.plan.sources import find_model

SWEEPS: dict[str, Callable[[Rules, int, float], Strategy]] = {
    "waiting": strategies.waiting,
    "demand": strategies.demand,
    "kv": strategies.kv_cache,
    "cpu": strategies.hpa_cpu,
}


def command(
    trace_file: Annotated[
        Path | None, typer.Option("--trace", help="CSV or JSON lines: time, prompt tokens, output tokens.")
    ] = None,
    model: o.ModelName = "meta-llama/Llama-3.1-8B-Instruct",
    gpu: o.GpuName = "L4",
    tensor: o.Tensor = 1,
    quantization: o.Quantization = "",
    max_model_len: o.MaxModelLen = 8192,
    max_num_seqs: o.MaxNumSeqs = None,
    strategy: Annotated[
        str, typer.Option(help="all, or a part of a strategy's name: waiting, demand, oracle ...")
    ] = "all",
    minimum: Annotated[int, typer.Option("--min", min=0, help="minReplicas.")] = 1,
    maximum: Annotated[int, typer.Option("--max", min=1, help="maxReplicas.")] = 16,
    up_window: Annotated[
        float, typer.Option(min=0, help="Stabilisation on the way up, seconds (0: preset responsive).")
    ] = 60,
    cold_start: Annotated[
        float | None, typer.Option(min=0, help="Seconds from wanted to ready. Default: `plan startup`.")
    ] = None,
    slo_ttft: Annotated[float, typer.Option(min=0.01, help="Promise: seconds to the first token.")] = 2.0,
    slo_tpot: Annotated[float, typer.Option(min=0.001, help="Promise: seconds between tokens.")] = 0.1,
    speedup: Annotated[float, typer.Option(min=0.01, help="Replay so many times as fast: the rate grows.")] = 1.0,
    per_server_limit: Annotated[
        int | None, typer.Option(min=1, help="Most requests the gateway gives a replica.")
    ] = None,
    sweep: Annotated[
        str, typer.Option(help="One threshold over values: waiting=2,5,10 or demand=8,16,32 (kv, cpu).")
    ] = "",
    plot: Annotated[
        Path | None, typer.Option("--svg", help="Write time lines: one file a strategy in this folder.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="A recorded time line (seconds, metric, wanted) against the model.")
    ] = None,
    target: Annotated[float, typer.Option(min=0.001, help="With --compare: the trigger's threshold a replica.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the cold starts' spread.")] = 1,
    json: o.Json = False,
) -> None:
    """What would a scaling strategy have done with this traffic: promises kept against GPU-hours?

    Example: [bold]vllm-charts plan simulate --trace AzureLLMInferenceTrace_conv.csv --gpu L4 --svg out/[/]

    A threshold: [bold]--sweep demand=8,16,24[/]. A recorded scaler: [bold]--compare timeline.csv --target 5[/]
    """
    rules = Rules(minimum=minimum, maximum=maximum, up_window=up_window)
    if compare:
        _compare(compare, rules, target, as_json=json)
        return
    if trace_file is None:
        raise typer.BadParameter("name a trace, or a recorded time line with --compare", param_hint="--trace")
    if strategy != "all" and sweep:
        raise typer.BadParameter("a sweep has strategies of its own", param_hint="--strategy")
    requests = trace.scaled(trace.load(trace_file), speedup)
    setup = Setup(
        gpu=find_gpu(gpu),
        tensor=tensor,
        quantization=quantization,
        max_model_len=max_model_len,
        max_num_seqs=max_num_seqs,
    )
    setting = setting_for(fit(find_model(model), setup), Slo(slo_ttft, slo_tpot), cold_start)
    setting = replace(setting, per_server_limit=per_server_limit, seed=seed)
    chosen = _swept(sweep, rules, requests, setting) if sweep else _chosen(strategy, requests, setting, rules)
    results = _run(requests, setting, chosen, quiet=json)
    if plot:
        _write_plots(plot, results)
    if json:
        tables.print_json(_json(results, setting))
    else:
        _print(results, requests, setting, swept=bool(sweep))


def setting_for(answer: Fit, slo: Slo, cold_start: float | None = None) -> Setting:
    """The simulated replica of a fit. Raises UserError where it does not start at all."""
    if answer.verdict == "does not fit":
        raise UserError(
            f"--model {answer.model.name} does not fit {answer.setup.gpus} x {answer.setup.gpu.name}",
            why="there is nothing to simulate",
            fix=f"vllm-charts plan fit --model {answer.model.name} --gpu {answer.setup.gpu.name} names what fits",
        )
    start = startup.Start(size_gib=answer.weights.mid * answer.setup.gpus / GIB, gpus=answer.setup.gpus)
    tokens = answer.layout.concurrency(answer.available.mid, answer.max_model_len) * answer.max_model_len
    return Setting(
        capacity=Capacity(Speed.of(answer), answer.max_num_seqs, max(1, int(tokens)), answer.batched_tokens),
        gpus=answer.setup.gpus,
        slo=slo,
        cold_start=startup.plan(start).scale_up_delay if cold_start is None else cold_start,
    )


def _chosen(name: str, requests: list[trace.Request], setting: Setting, rules: Rules) -> list[Strategy]:
    known = strategies.comparison(requests, setting, rules)
    found = known if name == "all" else [s for s in known if name.lower() in s.name.lower()]
    if not found:
        raise UserError(f"--strategy: {name!r} is none of {', '.join(s.name for s in known)}", fix="--strategy all")
    return found


def _swept(text: str, rules: Rules, requests: list[trace.Request], setting: Setting) -> list[Strategy]:
    """``waiting=2,5,10``: one strategy for each value."""
    name, _, values = text.partition("=")
    try:
        thresholds = [float(v) for v in values.split(",")]
        make = SWEEPS[name]
    except (ValueError, KeyError) as error:
        raise UserError(
            f"--sweep: {text!r} is not NAME=VALUE,VALUE", fix=f"--sweep waiting=2,5,10 (names: {', '.join(SWEEPS)})"
        ) from error
    start = strategies.oracle(requests, setting, rules.maximum).start
    return [make(rules, start, value) for value in thresholds]


def _run(requests: list[trace.Request], setting: Setting, chosen: list[Strategy], *, quiet: bool) -> list[Result]:
    """All strategies, one after the other, with a bar of simulated time."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(),
    )
    duration = requests[-1].arrival or 1
    results = []
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=duration * len(chosen))
        for index, strategy in enumerate(chosen):
            bar.update(task, description=strategy.name)

            def show(time: float, before: float = index * duration) -> None:
                bar.update(task, completed=before + time)

            results.append(simulate(requests, setting, strategy, show))
    return results


def _write_plots(folder: Path, results: list[Result]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        name = "".join(c if c.isalnum() else "-" for c in result.strategy.lower()).strip("-")
        (folder / f"{name}.svg").write_text(svg(result), encoding="utf-8")


def best(results: list[Result], wanted: float = 0.95) -> Result:
    """The cheapest that keeps the promise for so many requests; else the one that keeps most. No one has the oracle."""
    possible = [r for r in results if r.strategy != "oracle"] or results
    good = [r for r in possible if r.attainment >= wanted]
    return min(good, key=lambda r: r.gpu_hours) if good else max(possible, key=lambda r: r.attainment)


def _json(results: list[Result], setting: Setting) -> dict[str, Any]:
    return {
        "coldStartSeconds": round(setting.cold_start),
        "sloTtftSeconds": setting.slo.ttft,
        "sloTpotSeconds": setting.slo.tpot,
        "recommended": best(results).strategy,
        "strategies": [
            {
                "name": r.strategy,
                "attainment": round(r.attainment, 4),
                "gpuHours": round(r.gpu_hours, 2),
                "ttftSeconds": {"p50": round(r.ttft(0.5), 3), "p95": round(r.ttft(0.95), 3)},
                "tpotSeconds": {"p95": round(r.tpot(0.95), 4)},
                "starts": r.starts,
                "longestQueue": r.longest_queue,
                "mostReady": max((v.ready for v in r.views), default=0),
            }
            for r in results
        ],
    }


def body(results: list[Result]) -> list[tuple[str, ...]]:
    """The rows of the table of strategies."""
    return [
        (
            r.strategy,
            f"{r.attainment:.1%}",
            f"{r.gpu_hours:.1f}",
            f"{r.ttft(0.5):.2f} s",
            f"{r.ttft(0.95):.1f} s",
            f"{1000 * r.tpot(0.95):.0f} ms",
            str(r.starts),
            str(r.longest_queue),
        )
        for r in results
    ]


COLUMNS = ("strategy", "inside the SLO", "GPU-hours", "TTFT p50", "p95", "a token p95", "starts", "longest queue")


def _print(results: list[Result], requests: list[trace.Request], setting: Setting, *, swept: bool) -> None:
    minutes = requests[-1].arrival / 60
    title = (
        f"{len(requests):,} requests in {minutes:.0f} min, SLO {setting.slo.ttft:g} s to the first token and "
        f"{1000 * setting.slo.tpot:.0f} ms a token, cold start {setting.cold_start:.0f} s"
    )
    tables.rows(title, COLUMNS, body(results))
    chosen = best(results)
    reason = "cheapest with 95 % inside the SLO" if chosen.attainment >= 0.95 else "none reaches 95 %; this keeps most"
    console.print(f"[bold]{'recommended' if swept else 'best here'}: {chosen.strategy}[/] ({reason})")


def _compare(path: Path, rules: Rules, target: float, *, as_json: bool) -> None:
    result = compare_timeline(timeline(path, rules, target))
    if as_json:
        tables.print_json({"equal": round(result.equal, 4), "samples": [list(s) for s in result.samples]})
        return
    different = [(f"{t:.0f}", str(a), str(b)) for t, a, b in result.samples if a != b]
    if different:
        tables.rows("Where they differ", ("second", "cluster", "model"), different[:20])
    console.print(
        f"[bold]wanted replicas equal at {result.equal:.1%} of {len(result.samples)} samples[/] (target 95 %)"
    )
