// What all charts share: the theme, taken from the page's own style sheet, and a redraw that keeps zoom and hover.

import { h, reconcile, seen } from "./dom.js";
import { named } from "./format.js";
import { styleOf, swatch } from "./palette.js";

const CONFIG = { displayModeBar: false, showLink: false };

let arrived;
const library = new Promise((resolve) => { arrived = resolve; });
let asked = false;
const newest = new WeakMap();

/**
 * Fetches plotly.js, once. It is larger than all the rest together, so the numbers are painted first; charts that were
 * drawn meanwhile appear with it. Where it does not come, the next call tries again.
 */
export function loadPlotly(address) {
  if (asked) return;
  asked = true;
  const again = (event) => { event.target.remove(); asked = false; };
  const script = h("script", { src: address, onload: arrived, onerror: again });
  requestAnimationFrame(() => setTimeout(() => document.head.append(script)));
}

/** Plotly reads a little markup in text, so what users wrote is escaped before it gets there. */
export function plain(text) {
  return seen(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("%{", "%&#123;");
}

function theme() {
  const style = getComputedStyle(document.body);
  const read = (name) => style.getPropertyValue(name).trim();
  return { ink: read("--ink"), soft: read("--ink-soft"), line: read("--line"), panel: read("--panel"), font: style.fontFamily };
}

const HEIGHT_PX = 300;
const MARK_PX = 11;
const LABEL_PX = 15;
/** No letter of the page's fonts is wider on average. */
const LETTER_PX = 0.6 * MARK_PX;
const BESIDE_PX = 3;
const MARGIN = { l: 46, r: 14, t: 8, b: 34 };
const marksOf = new WeakMap();

/**
 * Draws or redraws a chart. `layout(theme)` gives what differs from the shared layout.
 *
 * marks: {at, text, colour} of moments on the axis of time, each a dashed line; their labels stand above what is drawn.
 */
export async function draw(element, traces, layout, marks = []) {
  newest.set(element, traces);
  await library;
  if (newest.get(element) !== traces) return;
  const colours = theme();
  const axis = { gridcolor: colours.line, zerolinecolor: colours.line, linecolor: colours.line, tickfont: { color: colours.soft, size: 12 }, spikecolor: colours.soft, spikethickness: 1, spikedash: "dot" };
  const own = layout(colours);
  const shared = {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: colours.font, size: 12, color: colours.ink },
    showlegend: false,
    hovermode: "x unified",
    hoverlabel: { bgcolor: colours.panel, bordercolor: colours.line, font: { color: colours.ink, size: 12 }, namelength: -1 },
    // One revision for good: Plotly then keeps the zoom of whoever looks.
    uirevision: "kept",
  };
  const margin = { ...MARGIN, t: MARGIN.t + LABEL_PX * marks.length };
  const merged = { ...shared, ...own, margin, height: HEIGHT_PX + LABEL_PX * marks.length, shapes: marks.map((mark, place) => line(mark, place, colours)) };
  for (const name of Object.keys(own)) if (/^[xy]axis/.test(name)) merged[name] = { ...axis, ...own[name] };
  marksOf.set(element, { marks, colours });
  // What somebody zoomed to is kept for as long as the revision is.
  const isKept = element.layout?.uirevision === merged.uirevision;
  merged.annotations = labels(element, isKept ? element.layout.xaxis.range : own.xaxis?.range);
  await window.Plotly.react(element, traces, merged, CONFIG);
  follow(element);
  fit(element);
  widths.observe(element);
}

/** From the axis up to its own label. */
const line = ({ at, colour }, place, colours) => ({ type: "line", x0: at, x1: at, y0: 0, y1: above(place + 0.5), yref: "paper", line: { color: colour ?? colours.soft, width: 1.5, dash: "dash" } });

/** So many lines of labels above what is drawn, as a share of its height. */
const above = (lines) => 1 + (lines * LABEL_PX) / (HEIGHT_PX - MARGIN.t - MARGIN.b);

/**
 * The labels of a chart's marks between two times, each on a line of its own: right of its mark, left of it where the chart
 * ends before the label does, and cut where it is wider than the chart.
 */
function labels(element, range) {
  const { marks, colours } = marksOf.get(element);
  if (marks.length === 0) return [];
  const [from, to] = range.map((each) => new Date(each).getTime());
  const wide = Math.max(LETTER_PX, element.clientWidth - MARGIN.l - MARGIN.r - BESIDE_PX);
  const shown = marks.map(({ at, text, colour }, place) => ({ at, text, colour, place, px: (wide * (new Date(at) - from)) / (to - from) })).filter(({ px }) => px >= 0 && px <= wide);
  return shown.map(({ at, text, colour, place, px }) => {
    const name = short(seen(text), Math.floor(wide / LETTER_PX));
    const long = name.length * LETTER_PX;
    const isLeft = px + long > wide;
    // Where neither side has room for it, it begins where the chart does.
    const xshift = isLeft ? Math.max(-BESIDE_PX, long - px) : BESIDE_PX;
    return { x: at, y: above(place), yref: "paper", yanchor: "bottom", xanchor: isLeft ? "right" : "left", xshift, text: plain(name), showarrow: false, font: { size: MARK_PX, color: colour ?? colours.soft } };
  });
}

function short(text, most) {
  return text.length <= most ? text : `${[...text].slice(0, most - 1).join("")}…`;
}

/** Labels stay within the chart however wide it becomes, and whatever somebody zooms to. */
function follow(element) {
  if (element.follows) return;
  element.follows = true;
  element.on("plotly_relayout", () => {
    const wanted = labels(element, element.layout.xaxis.range);
    if (JSON.stringify(wanted) !== JSON.stringify(element.layout.annotations)) window.Plotly.relayout(element, { annotations: wanted });
  });
}

/** A chart is as wide as its place, also where that changed while it was drawn, or was not shown until now. */
function fit(element) {
  const width = element.querySelector(".main-svg")?.clientWidth;
  if (width !== undefined && element.clientWidth > 0 && Math.abs(width - element.clientWidth) >= 1) window.Plotly.relayout(element, { width: element.clientWidth });
}

const widths = new ResizeObserver((changes) => changes.forEach(({ target }) => fit(target)));

/** Saves a chart as it stands there, in png or svg, with its title and, where it has several lines, their names. */
export async function picture(element, format, title, filename) {
  await library;
  const { panel } = theme();
  const data = element.data.map((trace) => ({ ...trace, showlegend: trace.name !== undefined }));
  const labels_px = element.layout.margin.t - MARGIN.t;
  const named = data.filter((trace) => trace.showlegend).length > 1;
  const layout = { ...element.layout, title: { text: plain(title), x: 0.02, xanchor: "left" }, showlegend: named, legend: { orientation: "h", y: -0.15 }, paper_bgcolor: panel, plot_bgcolor: panel, margin: { l: 56, r: 24, t: 48 + labels_px, b: 48 } };
  await window.Plotly.downloadImage({ data, layout }, { format, filename, width: element.clientWidth, height: 420 + labels_px, scale: format === "png" ? 2 : 1 });
}

/**
 * A legend as HTML, so that it wraps, is read out, and shows the dash as well as the colour. Its entries are buttons:
 * one of them brings a group to the front in both charts, and a second press lets it go.
 */
export function legend(list, names, by, { chosen, choose }) {
  list.hidden = by === "";
  const items = names.map((name) => ({ name, pressed: chosen.focus === name, ...styleOf(name, by) }));
  reconcile(list, list.hidden ? [] : items, (item) => item.name, (item) => h("li", {}, entry(item, choose)));
}

function entry(item, choose) {
  const press = () => choose({ focus: item.pressed ? "" : item.name });
  const attributes = { type: "button", "aria-pressed": String(item.pressed), title: "Bring to the front", onclick: press };
  return h("button", attributes, swatch(item), h("span", { text: named(item.name) }));
}

/**
 * How a group stands out: 1 as it is, 2 in front, 0 behind. Bands are for few groups, or for the one in front: six of
 * them on top of each other tell nothing.
 */
export function emphasis(name, names, { focus }) {
  if (!names.includes(focus)) return { level: 1, banded: names.length <= 3 };
  return name === focus ? { level: 2, banded: true } : { level: 0, banded: false };
}

/** A band between two rows of values, as one closed outline for each run without a gap. */
export function band(xs, lows, highs, colour, axis = "y") {
  const outline = { x: [], y: [] };
  let run = [];
  const close = () => {
    if (run.length > 1) {
      const there = run.map((at) => [xs[at], highs[at]]);
      const back = [...run].reverse().map((at) => [xs[at], lows[at]]);
      for (const [x, y] of [...there, ...back]) { outline.x.push(x); outline.y.push(y); }
      outline.x.push(null);
      outline.y.push(null);
    }
    run = [];
  };
  xs.forEach((_, at) => (lows[at] === null || highs[at] === null ? close() : run.push(at)));
  close();
  return { ...outline, yaxis: axis, type: "scatter", mode: "lines", fill: "toself", fillcolor: colour, line: { width: 0 }, hoverinfo: "skip" };
}
