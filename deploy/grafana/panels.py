"""The kinds of panels that boards are made of, and the board around them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models.common import (
    GraphTresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from keeprate.deploy.grafana.clickhouse import SOURCE as CLICKHOUSE
from keeprate.deploy.grafana.clickhouse import Sql
from keeprate.deploy.monitor import catalogue

PROMETHEUS: Final = DataSourceRef(type_val="prometheus", uid="keeprate-prometheus")
TAG: Final = "keeprate"
_WIDE: Final = 24
_LABELS: Final = {"app": "app", "prompt": "prompt", "version": "prompt_version"}
_WINDOWS: Final = ("1h", "6h", "1d", "7d")


@dataclass(frozen=True)
class Ask:
    """One PromQL expression, and how its series are called: `{{label}}` stands for a label's value."""

    expression: str
    legend: str = ""


Panel = stat.Panel | table.Panel | timeseries.Panel


def lines(
    title: str,
    meaning: str,
    unit: str,
    *asks: Ask,
    width: int = 12,
    limit: float | None = None,
    stacked: bool = False,
    signed: bool = False,
) -> timeseries.Panel:
    """Numbers over time. limit: a line from which on a value is bad. signed: they may be below 0."""
    panel = timeseries.Panel().title(title).description(meaning).datasource(PROMETHEUS).unit(unit).height(8)
    panel.span(width).line_width(1).fill_opacity(30 if stacked else 0)
    if not signed:
        panel.min(0)
    panel.legend(
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    panel.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    if limit is not None:
        panel.thresholds(_bad_from(limit)).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED)
        )
    for ref_id, ask in zip(ascii_uppercase, asks, strict=False):
        query = prometheus.Dataquery().expr(ask.expression).legend_format(ask.legend).ref_id(ref_id).range()
        panel.with_target(query.datasource(PROMETHEUS))
    return panel


def number(title: str, meaning: str, unit: str, ask: Ask, width: int = 6, bad_from: float | None = None) -> stat.Panel:
    """The present number, large. bad_from: red from this on."""
    panel = stat.Panel().title(title).description(meaning).datasource(PROMETHEUS).unit(unit).height(4).span(width)
    panel.thresholds(_bad_from(bad_from)).no_value("no data")
    query = prometheus.Dataquery().expr(ask.expression).legend_format(ask.legend).ref_id("A").instant()
    return panel.with_target(query.datasource(PROMETHEUS))


def rows(
    title: str, meaning: str, ask: Ask, names: Mapping[str, str], unit: str = "short", width: int = _WIDE
) -> table.Panel:
    """The present series as rows. names: the columns in their order, with their headings; Value is the number."""
    panel = table.Panel().title(title).description(meaning).datasource(PROMETHEUS).height(9).span(width)
    query = prometheus.Dataquery().expr(ask.expression).format(PromQueryFormat.TABLE).ref_id("A").instant()
    panel.with_target(query.datasource(PROMETHEUS))
    order = {name: place for place, name in enumerate(names)}
    options = {"indexByName": order, "renameByName": dict(names), "includeByName": dict.fromkeys(names, True)}
    panel.with_transformation(DataTransformerConfig(id_val="organize", options=options))
    if "Value" in names:
        panel.override_by_name(names["Value"], [DynamicConfigValue(id_val="unit", value=unit)])
    return panel


def answered(title: str, meaning: str, sql: str, units: Mapping[str, str], width: int = _WIDE) -> table.Panel:
    """Rows of SQL. units: of columns that are not plain numbers."""
    panel = table.Panel().title(title).description(meaning).datasource(CLICKHOUSE).height(9).span(width)
    panel.with_target(Sql(sql))
    for name, unit in units.items():
        panel.override_by_name(name, [DynamicConfigValue(id_val="unit", value=unit)])
    return panel


def answered_lines(title: str, meaning: str, sql: str, unit: str, width: int = 12) -> timeseries.Panel:
    """SQL over time."""
    panel = timeseries.Panel().title(title).description(meaning).datasource(CLICKHOUSE).unit(unit).height(8)
    return panel.span(width).min(0).with_target(Sql(sql, over_time=True))


def board(
    uid: str, title: str, meaning: str, variables: Sequence[str], span: str, parts: Mapping[str, Sequence[Panel]]
) -> dashboard.Dashboard:
    """A dashboard.

    variables: of app, prompt, version and window. span: how far back it begins. parts: panels under their headings.
    """
    made = dashboard.Dashboard(title).uid(f"keeprate-{uid}").description(meaning).tags([TAG]).timezone("browser")
    made.time(f"now-{span}", "now").refresh("1m").tooltip(DashboardCursorSync.CROSSHAIR).readonly()
    made.link(
        dashboard.DashboardLink("Keeprate")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .keep_time(True)
        .include_vars(True)
    )
    for name in variables:
        made.with_variable(_window() if name == "window" else _variable(name))
    number_of_panel = 0
    for heading, panels in parts.items():
        made.with_row(dashboard.Row(heading))
        for panel in panels:
            number_of_panel += 1
            made.with_panel(panel.id(number_of_panel))
    return made


def _variable(name: str) -> dashboard.QueryVariable:
    # Without a value of its own for `All`, that is the list of all values: it fits PromQL and SQL.
    label = _LABELS[name]
    narrower = {"app": "", "prompt": '{app=~"$app"}', "version": '{app=~"$app", prompt=~"$prompt"}'}[name]
    every = VariableOption(selected=True, text=["All"], value=["$__all"])
    made = dashboard.QueryVariable(name).label(name).datasource(PROMETHEUS).multi(True).include_all(True)
    made.query(f"label_values({catalogue.SUGGESTIONS.name}{narrower}, {label})").current(every)
    return made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)


def _window() -> dashboard.IntervalVariable:
    made = dashboard.IntervalVariable("window").label("each point tells").values(",".join(_WINDOWS))
    made.options([VariableOption(selected=each == "6h", text=each, value=each) for each in _WINDOWS])
    return made.current(VariableOption(selected=True, text="6h", value="6h"))


def _bad_from(limit: float | None) -> dashboard.ThresholdsConfig:
    steps = [Threshold(value=None, color="green")]
    if limit is not None:
        steps.append(Threshold(value=limit, color="red"))
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
