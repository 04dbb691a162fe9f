// A rate over time, one line for each group, each with the band of its interval.

import { band, draw, emphasis, legend, plain } from "./chart.js";
import { byId, segments, setText } from "./dom.js";
import { count, day, horizon, interval, named, percent } from "./format.js";
import { fade, styleOf } from "./palette.js";
import { markers } from "./releases.js";
import { term, titleOf } from "./tip.js";

/** Draws /api/series: groups, each with points {at, value, low, high, numerator, denominator}. */
export function drawSeries(series, view) {
  const { chosen, meta, choose } = view;
  const names = series.groups.map((group) => group.name);
  const options = meta.metrics.map((name) => ({ value: name, text: meta.definitions[name].short }));
  segments(byId("pick-metric"), "metric", options, series.metric, (metric) => choose({ metric }));
  const over = series.metric === "retention" ? `Kept after ${horizon(series.horizon_s)}` : titleOf(series.metric);
  const heading = byId("series-title");
  if (heading.textContent !== `${over} over time`) heading.replaceChildren(term(series.metric, over), " over time");
  legend(byId("series-legend"), names, series.by, view);
  const chart = byId("series");
  chart.setAttribute("aria-label", `${over} over time: ${series.groups.map(latest).join("; ")}`);
  const banded = names.some((name) => emphasis(name, names, chosen).banded);
  setText(byId("series-caption"), caption(series, banded));
  const traces = series.groups.flatMap((group) => lines(group, series, emphasis(group.name, names, chosen)));
  // The newest lowest: then no line goes through the label of another.
  const marks = markers().filter(({ at }) => at < series.until).map((mark) => marked(mark, series, names)).sort((a, b) => b.at.localeCompare(a.at));
  const layout = () => ({
    uirevision: `${chosen.period} ${series.metric}`,
    xaxis: { type: "date", range: [series.since, series.until].map(local), showgrid: false, hoverformat: "%e %b %H:%M", tickformatstops: TICKS },
    yaxis: { tickformat: ",.0%", rangemode: "tozero", range: [0, ceiling(series)] },
  });
  draw(chart, traces, layout, marks);
}

/** A release as a mark: in the colour of its line, and where it is older than the chart, at its first moment. */
function marked({ at, component, app, version, text }, { since, by }, names) {
  const own = [version, `${app} · ${version}`].find((name) => by === component && names.includes(name));
  const isOlder = at <= since;
  return { at: local(Math.max(at, since)), text: isOlder ? `◂ ${text}, since ${day(at)}` : `${text}, ${day(at)}`, colour: own && styleOf(own, by).colour };
}

/** Days as everywhere on the page, and within a day the time above its date. */
const TICKS = [{ dtickrange: [null, 86_399_999], value: "%H:%M\n%e %b" }, { dtickrange: [86_400_000, null], value: "%e %b" }];

// Plotly shows a date without a zone as it is, so the times are handed over in the reader's own zone.
const local = (at_ms) => new Date(at_ms - new Date(at_ms).getTimezoneOffset() * 60_000).toISOString().slice(0, -1);

/** A point of less than this says nothing, and its interval would fill the chart. */
const LEAST = 5;
const enough = (point) => point.value !== null && point.denominator >= LEAST;

function lines(group, series, { level, banded }) {
  const { colour, dash, mark } = styleOf(group.name, series.by);
  const x = group.points.map((point) => local(point.at));
  const shown = (read) => group.points.map((point) => (enough(point) ? read(point) : null));
  const line = {
    x,
    y: shown((point) => point.value),
    name: plain(named(group.name)),
    type: "scatter",
    mode: "lines+markers",
    opacity: level === 0 ? 0.25 : 1,
    line: { color: colour, dash, width: level === 2 ? 3 : 2 },
    marker: { symbol: mark, size: 5 },
    connectgaps: false,
    text: shown((point) => `${percent(point.value)}  (${interval(point)}), ${count(point.denominator)} ${series.of}`),
    hovertemplate: series.by === "" ? "%{text}<extra></extra>" : "%{fullData.name}: %{text}<extra></extra>",
  };
  return banded ? [band(x, shown((point) => point.low), shown((point) => point.high), fade(colour, 0.16)), line] : [line];
}

/** The top of the scale follows the values, and their intervals as far as they are narrow. */
function ceiling(series) {
  const points = series.groups.flatMap((group) => group.points).filter(enough);
  const tops = points.map((point) => Math.min(point.high, point.value + 0.1));
  return Math.min(1.03, Math.max(0.05, 1.08 * Math.max(0, ...tops)));
}

function latest(group) {
  const point = group.points.findLast(enough);
  return `${named(group.name)} ${point ? `${percent(point.value)}, ${interval(point)}` : "no data"}`;
}

function caption({ bucket_s, of, left_out, by_text }, banded) {
  const between = banded ? "the band is the 95\u202f% interval" : "press a name to see its 95\u202f% interval";
  const text = `One point per ${horizon(bucket_s)} with at least ${LEAST} ${of}, drawn where that time begins, by the time of the request; ${between}. Dashed lines are releases.`;
  return left_out > 0 ? `${text} The ${left_out} smallest of ${by_text} are in the table only.` : text;
}
