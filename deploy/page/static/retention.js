// The retention curve: what is still there, by the time since it was accepted, and how much of that was observed.

import { band, draw, legend, plain } from "./chart.js";
import { byId, segments, setText } from "./dom.js";
import { count, horizon, interval, named, percent } from "./format.js";
import { fade, styleOf } from "./palette.js";
import { term } from "./tip.js";
import { horizonOf } from "./filters.js";

/** Draws /api/retention: groups, each with points {horizon_s, coverage, accepted, observed, rates: {variant: rate}}. */
export function drawRetention(retention, { chosen, meta, choose }) {
  const options = meta.variants.map(({ value, text, meaning }) => ({ value, text, title: meaning }));
  segments(byId("pick-variant"), "variant", options, chosen.variant, (variant) => choose({ variant }));
  const heading = byId("retention-title");
  if (!heading.firstChild) heading.replaceChildren(term("retention_curve"));
  const groups = retention.groups.filter((group) => group.points.length > 0);
  legend(byId("retention-legend"), groups.map((group) => group.name), retention.by);
  const chart = byId("retention");
  chart.setAttribute("aria-label", `Retention curve: ${groups.map((group) => spoken(group, chosen.variant)).join("; ")}`);
  const variant = meta.variants.find((each) => each.value === chosen.variant) ?? meta.variants[0];
  setText(byId("retention-caption"), `${variant.meaning} Below: coverage, the share of those old enough that was observed.`);
  const horizons = [...new Set(groups.flatMap((group) => group.points.map((point) => point.horizon_s)))].sort((a, b) => a - b);
  const traces = groups.flatMap((group, place) => curves(group, place, groups.length, retention.by, variant.value));
  draw(chart, traces, (theme) => layout(theme, horizons, horizonOf(chosen, meta)));
}

function curves(group, place, groups, by, variant) {
  const { colour, dash, mark } = styleOf(group.name, by);
  const x = group.points.map((point) => point.horizon_s);
  const rates = group.points.map((point) => point.rates[variant]);
  const line = {
    x,
    y: rates.map((rate) => rate.value),
    error_y: { type: "data", symmetric: false, array: rates.map((rate) => rate.high - rate.value), arrayminus: rates.map((rate) => rate.value - rate.low), thickness: 1.2, width: 3, color: fade(colour, 0.75) },
    name: plain(named(group.name)),
    type: "scatter",
    mode: "lines+markers",
    line: { color: colour, dash, width: 2.2 },
    marker: { symbol: mark, size: 7 },
    text: group.points.map((point, at) => `${percent(rates[at].value)}  (${interval(rates[at])}), ${count(point.observed)} observed, coverage ${percent(point.coverage)}`),
    hovertemplate: by === "" ? "%{text}<extra></extra>" : "%{fullData.name}: %{text}<extra></extra>",
  };
  // Bars beside each other on a log axis: a group's bar moves by a constant factor.
  const shift = 1.13 ** (place - (groups - 1) / 2);
  const coverage = {
    x: x.map((each) => each * shift),
    y: group.points.map((point) => point.coverage),
    width: x.map((each) => each * shift * 0.11),
    type: "bar",
    yaxis: "y2",
    marker: { color: fade(colour, 0.65) },
    hoverinfo: "skip",
  };
  const bounds = (name) => group.points.map((point) => point.rates[name].value);
  const unknown = groups === 1 ? [band(x, bounds("lower"), bounds("paper"), fade(colour, 0.14))] : [];
  return [...unknown, coverage, line];
}

function layout(theme, horizons, chosen_s) {
  const chosen = { type: "line", x0: chosen_s, x1: chosen_s, yref: "paper", y0: 0, y1: 1, line: { color: theme.soft, width: 1, dash: "dot" } };
  const ends = horizons.length ? [horizons[0] / 1.6, horizons[horizons.length - 1] * 1.6] : [20, 1000];
  return {
    xaxis: { type: "log", range: ends.map(Math.log10), tickvals: horizons, ticktext: horizons.map(horizon), showgrid: false, anchor: "y2", hoverformat: ",.0f", title: undefined },
    yaxis: { tickformat: ",.0%", domain: [0.26, 1], range: [0, 1.02], dtick: 0.25 },
    yaxis2: { tickformat: ",.0%", domain: [0, 0.17], range: [0, 1], tickvals: [0, 1], zeroline: false },
    shapes: [chosen],
    barmode: "overlay",
  };
}

function spoken(group, variant) {
  const points = group.points.map((point) => `${percent(point.rates[variant]?.value)} after ${horizon(point.horizon_s)}`);
  return `${named(group.name)} ${points.join(", ")}`;
}
