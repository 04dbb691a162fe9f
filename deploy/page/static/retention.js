// The retention curve: what is still there, by the time since it was accepted, and how much of that was observed.

import { band, draw, emphasis, legend, plain } from "./chart.js";
import { byId, segments, setText } from "./dom.js";
import { count, horizon, interval, named, percent } from "./format.js";
import { fade, styleOf } from "./palette.js";
import { term } from "./tip.js";
import { horizonOf } from "./filters.js";

const LABEL_PX = 26;

/** Draws /api/retention: groups, each with points {horizon_s, coverage, accepted, observed, rates: {variant: rate}}. */
export function drawRetention(retention, view) {
  const { chosen, meta, choose } = view;
  const options = meta.variants.map(({ value, text, meaning }) => ({ value, text, title: meaning }));
  segments(byId("pick-variant"), "variant", options, chosen.variant, (variant) => choose({ variant }));
  const heading = byId("retention-title");
  if (!heading.firstChild) heading.replaceChildren(term("retention_curve"));
  const groups = retention.groups.filter((group) => group.points.length > 0);
  const names = groups.map((group) => group.name);
  legend(byId("retention-legend"), names, retention.by, view);
  const chart = byId("retention");
  chart.setAttribute("aria-label", `Kept, by the time since the accept: ${groups.map((group) => spoken(group, chosen.variant)).join("; ")}`);
  const variant = meta.variants.find((each) => each.value === chosen.variant) ?? meta.variants[0];
  setText(byId("retention-caption"), `${variant.meaning} Below: coverage, the share of those old enough that was observed.`);
  const horizons = [...new Set(groups.flatMap((group) => group.points.map((point) => point.horizon_s)))].sort((a, b) => a - b);
  const look = (group) => ({ ...styleOf(group.name, retention.by), ...emphasis(group.name, names, chosen) });
  const traces = groups.flatMap((group, place) => curves(group, (place - (groups.length - 1) / 2), look(group), retention.by, variant.value));
  draw(chart, traces, () => layout(horizons, horizonOf(chosen, meta), chart.clientWidth));
}

function curves(group, place, { colour, dash, mark, level, banded }, by, variant) {
  const x = group.points.map((point) => point.horizon_s);
  const rates = group.points.map((point) => point.rates[variant]);
  const line = {
    x,
    y: rates.map((rate) => rate.value),
    error_y: { type: "data", symmetric: false, array: rates.map((rate) => rate.high - rate.value), arrayminus: rates.map((rate) => rate.value - rate.low), thickness: 1.2, width: 3, color: fade(colour, 0.75) },
    name: plain(named(group.name)),
    type: "scatter",
    mode: "lines+markers",
    opacity: level === 0 ? 0.25 : 1,
    line: { color: colour, dash, width: level === 2 ? 3 : 2 },
    marker: { symbol: mark, size: 7 },
    text: group.points.map((point, at) => `${percent(rates[at].value)}  (${interval(rates[at])}), ${count(point.observed)} observed, coverage ${percent(point.coverage)}`),
    hovertemplate: by === "" ? "%{text}<extra></extra>" : "%{fullData.name}: %{text}<extra></extra>",
  };
  // Bars beside each other on a log axis: a group's bar moves by a constant factor.
  const shift = 1.13 ** place;
  const coverage = {
    x: x.map((each) => each * shift),
    y: group.points.map((point) => point.coverage),
    width: x.map((each) => each * shift * 0.11),
    type: "bar",
    yaxis: "y2",
    marker: { color: fade(colour, level === 0 ? 0.18 : 0.65) },
    hoverinfo: "skip",
  };
  const bounds = (name) => group.points.map((point) => point.rates[name].value);
  const unknown = banded ? [band(x, bounds("lower"), bounds("paper"), fade(colour, 0.14))] : [];
  return [...unknown, coverage, line];
}

/** Short, because 5 and 10 minutes are neighbours on a log axis; the chosen one is bold, and makes room for itself. */
function ticks(horizons, chosen_s, decade_px) {
  const close = (a, b) => Math.abs(Math.log10(a / b)) * decade_px < LABEL_PX;
  let last = 0;
  return horizons.map((each) => {
    const text = horizon(each).replace("\u202f", "").replace("min", "m");
    if (each === chosen_s) return `<b>${text}</b>`;
    if (close(each, chosen_s) || (last && close(each, last))) return "";
    last = each;
    return text;
  });
}

function layout(horizons, chosen_s, width_px) {
  const ends = horizons.length ? [horizons[0] / 1.6, horizons[horizons.length - 1] * 1.6] : [20, 1000];
  const decade_px = (width_px - 60) / Math.log10(ends[1] / ends[0]);
  return {
    xaxis: { type: "log", range: ends.map(Math.log10), tickvals: horizons, ticktext: ticks(horizons, chosen_s, decade_px), tickangle: 0, showgrid: false, anchor: "y2" },
    yaxis: { tickformat: ",.0%", domain: [0.26, 1], range: [0, 1.02], dtick: 0.25 },
    yaxis2: { tickformat: ",.0%", domain: [0, 0.17], range: [0, 1], tickvals: [0, 1], zeroline: false },
    barmode: "overlay",
  };
}

function spoken(group, variant) {
  const points = group.points.map((point) => `${percent(point.rates[variant]?.value)} after ${horizon(point.horizon_s)}`);
  return `${named(group.name)} ${points.join(", ")}`;
}
