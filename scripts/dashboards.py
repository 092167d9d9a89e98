"""Grafana dashboards as code: the source of ``charts/*/dashboards/*.json``.

A dashboard is a table of panels here; layout, data source and style are the same for all of them. Queries use metric
names of the engine's own list, of kube-state-metrics and of the DCGM exporter: a test holds them to it.
"""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    BigValueTextMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    VariableRefresh,
    VariableSort,
)

from scripts.console import UserError, console
from scripts.paths import CHARTS, REPO

app = typer.Typer()

MODEL_DASHBOARD = CHARTS / "vllm-model" / "dashboards" / "model.json"

PODS = "^(.+?)(?:-[a-z0-9]+-[a-z0-9]{5}|-[0-9]+)$"
"""Takes the name of the workload out of a pod's name (Deployment and Rollout, or the leader of a group)."""

ENGINE = 'model_name="$model",namespace="$namespace",pod=~"$pod"'
"""Matchers of the engine's own series."""

REPLICAS = 'namespace="$namespace",pod=~"$workload-([a-z0-9]+-[a-z0-9]{5}|[0-9]+)"'
"""Matchers of what others say about the pods, also while none of them is scraped."""

GPUS = 'exported_namespace="$namespace",exported_pod=~"$pod"'
GPUS_HONOURED = 'namespace="$namespace",pod=~"$pod"'
"""The DCGM exporter's pod labels, where its ServiceMonitor honours them and where it does not."""

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: what it shows.
        queries: legend (a label in double braces, or text) and PromQL of each line.
        unit: Grafana's name of the unit (``s``, ``percentunit``, ``reqps``, ``short`` ...).
        description: what to make of it.
        width: columns of 24.
        single: one number instead of a graph.
    """

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    description: str = ""
    width: int = 8
    single: bool = False


def quantiles(metric: str, *values: float) -> list[tuple[str, str]]:
    """Queries for quantiles of one of the engine's histograms (its name without ``_bucket``)."""
    rate = f"sum by (le) (rate({metric}_bucket{{{ENGINE}}}[$__rate_interval]))"
    return [(f"p{value * 100:g}", f"histogram_quantile({value}, {rate})") for value in values]


def counted(metric: str, by: str, matchers: str = ENGINE) -> str:
    """The rate of a counter by a label."""
    return f"sum by ({by}) (rate({metric}{{{matchers}}}[$__rate_interval]))"


def gpu(function: str, metric: str) -> str:
    """A DCGM metric by pod, under either form of its labels."""
    return f"{function} by (exported_pod) ({metric}{{{GPUS}}}) or {function} by (pod) ({metric}{{{GPUS_HONOURED}}})"


WANTED = (
    'sum(kube_deployment_spec_replicas{namespace="$namespace",deployment="$workload"}) '
    'or sum(kube_statefulset_replicas{namespace="$namespace",statefulset="$workload"}) '
    'or sum(rollout_info_replicas_desired{name="$workload"})'
)
READY = f'sum(kube_pod_status_ready{{{REPLICAS},condition="true"}})'
HTTP = 'namespace="$namespace",pod=~"$pod",handler=~"/v1/.*"'

ROWS: Sequence[tuple[str, Sequence[Panel]]] = (
    (
        "Now",
        (
            Panel("Replicas ready", [("", READY)], width=3, single=True),
            Panel("Replicas wanted", [("", WANTED)], width=3, single=True),
            Panel("Running", [("", f"sum(vllm:num_requests_running{{{ENGINE}}})")], width=3, single=True),
            Panel("Waiting", [("", f"sum(vllm:num_requests_waiting{{{ENGINE}}})")], width=3, single=True),
            Panel("First token, p95", quantiles("vllm:time_to_first_token_seconds", 0.95), "s", width=3, single=True),
            Panel(
                "Tokens a second",
                [("", f"sum(rate(vllm:generation_tokens_total{{{ENGINE}}}[$__rate_interval]))")],
                width=3,
                single=True,
            ),
            Panel(
                "KV cache, fullest",
                [("", f"max(vllm:kv_cache_usage_perc{{{ENGINE}}})")],
                "percentunit",
                width=3,
                single=True,
            ),
            Panel(
                "Server errors",
                [
                    (
                        "",
                        f'sum(rate(http_requests_total{{{HTTP},status="5xx"}}[$__rate_interval])) '
                        f"/ sum(rate(http_requests_total{{{HTTP}}}[$__rate_interval]))",
                    )
                ],
                "percentunit",
                "Share of the answers. No data: no server error in this time.",
                width=3,
                single=True,
            ),
        ),
    ),
    (
        "What users feel",
        (
            Panel(
                "Time to first token",
                quantiles("vllm:time_to_first_token_seconds", 0.5, 0.95, 0.99),
                "s",
                "Waiting, then reading the prompt. Rises with the queue and with long prompts.",
            ),
            Panel(
                "Time between tokens",
                quantiles("vllm:inter_token_latency_seconds", 0.5, 0.95, 0.99),
                "s",
                "The speed of a stream. Rises with the batch: more requests at once, each slower.",
            ),
            Panel("Whole request", quantiles("vllm:e2e_request_latency_seconds", 0.5, 0.95, 0.99), "s"),
            Panel("Time in the queue", quantiles("vllm:request_queue_time_seconds", 0.5, 0.95, 0.99), "s"),
            Panel("Reading the prompt", quantiles("vllm:request_prefill_time_seconds", 0.5, 0.95, 0.99), "s"),
            Panel("Writing the answer", quantiles("vllm:request_decode_time_seconds", 0.5, 0.95, 0.99), "s"),
        ),
    ),
    (
        "Load",
        (
            Panel("Requests running", [("{{pod}}", f"sum by (pod) (vllm:num_requests_running{{{ENGINE}}})")]),
            Panel(
                "Requests waiting",
                [("{{reason}}", f"sum by (reason) (vllm:num_requests_waiting_by_reason{{{ENGINE}}})")],
                description="At the engine. Requests that wait in a gateway are not counted here.",
            ),
            Panel(
                "Requests finished",
                [("{{finished_reason}}", counted("vllm:request_success_total", "finished_reason"))],
                "reqps",
            ),
            Panel(
                "Tokens",
                [
                    ("read", f"sum(rate(vllm:prompt_tokens_total{{{ENGINE}}}[$__rate_interval]))"),
                    ("read from cache", f"sum(rate(vllm:prompt_tokens_cached_total{{{ENGINE}}}[$__rate_interval]))"),
                    ("written", f"sum(rate(vllm:generation_tokens_total{{{ENGINE}}}[$__rate_interval]))"),
                ],
                "short",
                "A second, all replicas.",
            ),
            Panel("Length of prompts", quantiles("vllm:request_prompt_tokens", 0.5, 0.95)),
            Panel("Length of answers", quantiles("vllm:request_generation_tokens", 0.5, 0.95)),
        ),
    ),
    (
        "Memory of the engine",
        (
            Panel(
                "KV cache in use",
                [("{{pod}}", f"avg by (pod) (vllm:kv_cache_usage_perc{{{ENGINE}}})")],
                "percentunit",
                "At 1 requests are preempted: put back and computed again.",
            ),
            Panel(
                "Prefix cache hits",
                [
                    (
                        "hit rate",
                        f"sum(rate(vllm:prefix_cache_hits_total{{{ENGINE}}}[$__rate_interval])) "
                        f"/ sum(rate(vllm:prefix_cache_queries_total{{{ENGINE}}}[$__rate_interval]))",
                    )
                ],
                "percentunit",
                "Share of the prompts' tokens that needed no computing. Drops when requests of one conversation "
                "land on different replicas.",
            ),
            Panel("Preemptions", [("{{pod}}", counted("vllm:num_preemptions_total", "pod"))], "cps"),
        ),
    ),
    (
        "Errors",
        (
            Panel("HTTP answers", [("{{status}}", counted("http_requests_total", "status", HTTP))], "reqps"),
            Panel(
                "Refused at the door",
                [("{{reason}}", counted("vllm:admission_rejections_total", "reason"))],
                "reqps",
                "503 by maxNumQueuedReqs or maxNumQueuedTokens.",
            ),
            Panel(
                "Restarts",
                [("{{pod}}", f"sum by (pod) (increase(kube_pod_container_status_restarts_total{{{REPLICAS}}}[1h]))")],
                description="In an hour.",
            ),
        ),
    ),
    (
        "Replicas",
        (
            Panel("Wanted and ready", [("wanted", WANTED), ("ready", READY)], width=12),
            Panel(
                "Pending",
                [("pending", f'sum(kube_pod_status_phase{{{REPLICAS},phase="Pending"}})')],
                description="No free GPU, an image that is being pulled, or a claim that is not bound.",
                width=12,
            ),
        ),
    ),
    (
        "GPUs (needs the DCGM exporter)",
        (
            Panel(
                "Utilisation",
                [("{{pod}}{{exported_pod}}", gpu("avg", "DCGM_FI_DEV_GPU_UTIL"))],
                "percent",
                "Share of time in which any kernel ran: says little about load.",
            ),
            Panel("Memory in use", [("{{pod}}{{exported_pod}}", gpu("sum", "DCGM_FI_DEV_FB_USED"))], "decmbytes"),
            Panel("Power", [("{{pod}}{{exported_pod}}", gpu("sum", "DCGM_FI_DEV_POWER_USAGE"))], "watt"),
        ),
    ),
)


def targets(panel: Panel) -> list[Builder[Dataquery]]:
    """The panel's queries; a single number asks for the last value only."""
    built: list[Builder[Dataquery]] = []
    for index, (legend, query) in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query).legend_format(legend).ref_id(chr(ord("A") + index))
        built.append(target.instant() if panel.single else target.range())
    return built


def single(panel: Panel) -> stat.Panel:
    """One number; its colour says nothing, since what is bad differs from model to model."""
    built = stat.Panel().title(panel.title).description(panel.description).datasource(DATASOURCE).unit(panel.unit)
    built = built.graph_mode(BigValueGraphMode.NONE).text_mode(BigValueTextMode.VALUE)
    built = built.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return built.height(4).span(panel.width).targets(targets(panel))


def graph(panel: Panel) -> timeseries.Panel:
    """Lines over time, with the last and the highest value in the legend."""
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.TABLE).placement(LegendPlacement.BOTTOM)
    built = timeseries.Panel().title(panel.title).description(panel.description).datasource(DATASOURCE)
    built = built.unit(panel.unit).min(0).height(8).span(panel.width).targets(targets(panel))
    built = built.draw_style(GraphDrawStyle.LINE).line_width(1).fill_opacity(10).show_points(VisibilityMode.NEVER)
    return built.legend(legend.show_legend(True).calcs(["lastNotNull", "max"])).tooltip(
        common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI)
    )


def variable(name: str, label: str, query: str, regex: str = "") -> dashboard.QueryVariable:
    """A choice that Prometheus fills in."""
    built = dashboard.QueryVariable(name).label(label).datasource(DATASOURCE).query(query).regex(regex)
    return built.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)


def model() -> dict[str, Any]:
    """The dashboard of one model, for any model: the variables choose it."""
    series = "vllm:num_requests_running"
    chosen = 'namespace="$namespace",pod=~"$workload-([a-z0-9]+-[a-z0-9]{5}|[0-9]+)"'
    board = (
        dashboard.Dashboard("vLLM / model")
        .uid("vllm-model")
        .tags(["vllm"])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(variable("namespace", "Namespace", f"label_values({series}, namespace)"))
        .with_variable(
            variable("workload", "Workload", f'label_values({series}{{namespace="$namespace"}}, pod)', f"/{PODS}/")
        )
        .with_variable(variable("model", "Model", f"label_values({series}{{{chosen}}}, model_name)"))
        .with_variable(
            variable("pod", "Replica", f"label_values({series}{{{chosen}}}, pod)").multi(True).include_all(True)
        )
    )
    ids = itertools.count(1)
    for title, panels in ROWS:
        board = board.with_row(dashboard.Row(title).id(next(ids)))
        for panel in panels:
            built_panel = single(panel) if panel.single else graph(panel)
            board = board.with_panel(built_panel.id(next(ids)))
    built: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(board.build()))
    return built


DASHBOARDS = {MODEL_DASHBOARD: model}
"""Every generated file and what builds it."""


def text(built: dict[str, Any]) -> str:
    """A dashboard as it is written: short enough for a ConfigMap, one panel a change in a diff."""
    return json.dumps(built, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


@app.command()
def generate(
    check: Annotated[bool, typer.Option(help="Write nothing; fail if a file is not what would be written.")] = False,
) -> None:
    """Write the dashboards of the charts."""
    stale: list[Path] = []
    for path, build in DASHBOARDS.items():
        new = text(build())
        if path.is_file() and path.read_text() == new:
            continue
        stale.append(path)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(new)
            console.print(f"wrote {path.relative_to(REPO)}")
    if check and stale:
        names = ", ".join(str(path.relative_to(REPO)) for path in stale)
        raise UserError(
            f"{names} is not what scripts/dashboards.py makes",
            why="Generated files are never edited by hand.",
            fix="vllm-charts dashboards generate",
        )
