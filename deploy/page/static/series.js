// A rate over time, one line for each group, each with the band of its interval.

import { band, draw, legend, plain } from "./chart.js";
import { byId, segments, setText } from "./dom.js";
import { count, horizon, interval, named, percent } from "./format.js";
import { fade, styleOf } from "./palette.js";
import { term, titleOf } from "./tip.js";

/** Draws /api/series: groups, each with points {at, value, low, high, numerator, denominator}. */
export function drawSeries(series, { chosen, meta, choose }) {
  const options = meta.metrics.map((name) => ({ value: name, text: meta.definitions[name].short }));
  segments(byId("pick-metric"), "metric", options, chosen.metric, (metric) => choose({ metric }));
  const over = series.metric === "retention" ? `Kept after ${horizon(series.horizon_s)}` : titleOf(series.metric);
  const heading = byId("series-title");
  if (heading.textContent !== `${over} over time`) heading.replaceChildren(term(series.metric, over), " over time");
  legend(byId("series-legend"), series.groups.map((group) => group.name), series.by);
  const chart = byId("series");
  chart.setAttribute("aria-label", `${over} over time: ${series.groups.map(latest).join("; ")}`);
  setText(byId("series-caption"), caption(series));
  const traces = series.groups.flatMap((group) => lines(group, series));
  draw(chart, traces, () => ({
    xaxis: { type: "date", range: [series.since, series.until].map(local), showgrid: false, hoverformat: "%e %b %H:%M" },
    yaxis: { tickformat: ",.0%", rangemode: "tozero", range: [0, ceiling(series)] },
  }));
}

// Plotly shows a date without a zone as it is, so the times are handed over in the reader's own zone.
const local = (at_ms) => new Date(at_ms - new Date(at_ms).getTimezoneOffset() * 60_000).toISOString().slice(0, -1);

function lines(group, series) {
  const { colour, dash, mark } = styleOf(group.name, series.by);
  const x = group.points.map((point) => local(point.at));
  const line = {
    x,
    y: group.points.map((point) => point.value),
    name: plain(named(group.name)),
    type: "scatter",
    mode: group.points.length < 60 ? "lines+markers" : "lines",
    line: { color: colour, dash, width: 2.2 },
    marker: { symbol: mark, size: 5 },
    connectgaps: false,
    text: group.points.map((point) => `${percent(point.value)}  (${interval(point)}), ${count(point.denominator)} ${series.of}`),
    hovertemplate: series.by === "" ? "%{text}<extra></extra>" : "%{fullData.name}: %{text}<extra></extra>",
  };
  return [band(x, group.points.map((point) => point.low), group.points.map((point) => point.high), fade(colour, 0.16)), line];
}

/** The top of the scale follows the values and well-measured intervals; a lonely first event must not flatten the rest. */
function ceiling(series) {
  const points = series.groups.flatMap((group) => group.points).filter((point) => point.value !== null);
  const tops = points.map((point) => Math.min(point.high, point.value + 0.12));
  return Math.min(1, Math.max(0.05, 1.08 * Math.max(0, ...tops)));
}

function latest(group) {
  const point = group.points.findLast((each) => each.value !== null);
  return `${named(group.name)} ${point ? `${percent(point.value)}, ${interval(point)}` : "no data"}`;
}

function caption({ bucket_s, left_out, by_text }) {
  const text = `One point per ${horizon(bucket_s)}, by the time of the generation; the band is the 95 % interval.`;
  return left_out > 0 ? `${text} The ${left_out} smallest of ${by_text} are in the table only.` : text;
}
