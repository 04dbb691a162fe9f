// What all charts share: the theme, taken from the page's own style sheet, and a redraw that keeps zoom and hover.

import { h, reconcile } from "./dom.js";
import { named } from "./format.js";
import { styleOf } from "./palette.js";

const CONFIG = { displayModeBar: false, responsive: true, showLink: false };

/** Plotly reads a little markup in text, so what users wrote is escaped before it gets there. */
export function plain(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("%{", "%&#123;");
}

function theme() {
  const style = getComputedStyle(document.body);
  const read = (name) => style.getPropertyValue(name).trim();
  return { ink: read("--ink"), soft: read("--ink-soft"), line: read("--line"), panel: read("--panel"), font: style.fontFamily };
}

/** Draws or redraws a chart. `layout(theme)` gives what differs from the shared layout. */
export async function draw(element, traces, layout) {
  const colours = theme();
  const axis = { gridcolor: colours.line, zerolinecolor: colours.line, linecolor: colours.line, tickfont: { color: colours.soft, size: 12 }, fixedrange: false, automargin: false };
  const own = layout(colours);
  const shared = {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: colours.font, size: 12, color: colours.ink },
    margin: { l: 46, r: 14, t: 8, b: 34 },
    height: 300,
    showlegend: false,
    hovermode: "x unified",
    hoverlabel: { bgcolor: colours.panel, bordercolor: colours.line, font: { color: colours.ink, size: 12 }, namelength: -1 },
    // One revision for good: Plotly then keeps the zoom of whoever looks.
    uirevision: "kept",
  };
  const merged = { ...shared, ...own };
  for (const name of Object.keys(own)) if (/^[xy]axis/.test(name)) merged[name] = { ...axis, ...own[name] };
  await window.Plotly.react(element, traces, merged, CONFIG);
}

/** A legend as HTML, so that it wraps, is read out, and shows the dash as well as the colour. */
export function legend(list, names, by) {
  const items = names.map((name) => ({ name, ...styleOf(name, by) }));
  list.hidden = items.length < 2 && by === "";
  reconcile(list, list.hidden ? [] : items, (item) => item.name, (item) =>
    h("li", {}, h("span", { class: `swatch ${item.dash}`, vars: { "--colour": item.colour }, "aria-hidden": "true" }), h("span", { text: named(item.name) })),
  );
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
