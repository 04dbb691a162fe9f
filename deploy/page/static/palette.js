// Colours of the groups. Okabe and Ito's set, told apart by any kind of colour vision, with a dash and a mark each, so
// that colour is never the only difference. Both themes keep a contrast of 3:1 against their panels.

import { svg } from "./dom.js";

const LIGHT = ["#0b5cad", "#c44e00", "#007d5a", "#a2407a", "#8a6d00", "#3d7f9e"];
const DARK = ["#5ab0f2", "#ff9a57", "#3fc79a", "#e495c4", "#e3c04a", "#9cd3ea"];
const DASH_ARRAYS = { solid: "none", dash: "6 4", dot: "1.5 3", dashdot: "6 3 1.5 3", longdash: "10 4", longdashdot: "10 3 1.5 3" };
const SHAPES = {
  circle: "M14 2.5a3.5 3.5 0 1 0 .01 0Z",
  square: "M11 3h6v6h-6Z",
  diamond: "M14 1.5L18.5 6 14 10.5 9.5 6Z",
  "triangle-up": "M14 1.5L18.5 9.5H9.5Z",
  cross: "M13 2h2v3h3v2h-3v3h-2V7h-3V5h3Z",
  x: "M11 2l3 3 3-3 1 1-3 3 3 3-1 1-3-3-3 3-1-1 3-3-3-3Z",
};
const REST = { light: "#6e7278", dark: "#9aa1ab" };
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const MARKS = ["circle", "square", "diamond", "triangle-up", "cross", "x"];

export const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;

const places = new Map();

/**
 * Colour, dash and mark of a group. A group keeps its place while the page is open, so that a version has one colour
 * in every chart and does not change it when another version overtakes.
 */
export function styleOf(name, by) {
  if (!places.has(by)) places.set(by, new Map());
  const known = places.get(by);
  if (!known.has(name)) known.set(name, known.size);
  const place = known.get(name);
  const colours = dark() ? DARK : LIGHT;
  if (place >= colours.length) return { colour: dark() ? REST.dark : REST.light, dash: "dot", mark: "circle-open" };
  return { colour: colours[place], dash: DASHES[place], mark: MARKS[place] };
}

/** A short piece of a group's line, with its mark, for legends and tables. */
export function swatch({ colour, dash, mark }) {
  const line = svg("path", { d: "M0 6H28", stroke: colour, "stroke-width": 2.4, "stroke-dasharray": DASH_ARRAYS[dash], fill: "none" });
  const shape = svg("path", { d: SHAPES[mark] ?? SHAPES.circle, fill: colour });
  return svg("svg", { class: "swatch", width: 28, height: 12, viewBox: "0 0 28 12", "aria-hidden": "true" }, line, shape);
}

/** The same colour, transparent. */
export function fade(colour, alpha) {
  const parts = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return `rgba(${parts.join(",")},${alpha})`;
}
