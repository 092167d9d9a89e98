"""What all dashboards share: panels, their style, variables, and the board around them."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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


Rows = Sequence[tuple[str, Sequence[Panel]]]
"""Panels under the titles of their rows."""


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


def board(
    title: str, uid: str, tags: Sequence[str], variables: Sequence[dashboard.QueryVariable], rows: Rows
) -> dict[str, Any]:
    """A dashboard whose first variable is the data source."""
    built = (
        dashboard.Dashboard(title)
        .uid(uid)
        .tags(list(tags))
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for each in variables:
        built = built.with_variable(each)
    ids = itertools.count(1)
    for row, panels in rows:
        built = built.with_row(dashboard.Row(row).id(next(ids)))
        for panel in panels:
            built_panel = single(panel) if panel.single else graph(panel)
            built = built.with_panel(built_panel.id(next(ids)))
    encoded: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(built.build()))
    return encoded
