// Colours of the groups. Okabe and Ito's set, told apart by any kind of colour vision, with a dash and a mark each, so
// that colour is never the only difference. They are read as text, too: both themes keep a contrast of
// 4.5:1 against their panels.

import { svg } from "./dom.js";

const LIGHT = ["#0b5cad", "#c44e00", "#007d5a", "#a2407a", "#8a6d00", "#33728f"];
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
 * Gives groups their colours by their places of 90 days, so that a version has one colour in every chart, whatever the
 * period and whichever overtakes. names: the largest first, which are the ones that get colours. Where two of them want
 * one, because there are more groups than colours, the later one takes the next that is free.
 */
export function arrange({ by, groups, places: wanted }) {
  const shown = groups.slice(0, LIGHT.length).map(({ name }) => name);
  const own = (name) => wanted[name] ?? Infinity;
  const taken = new Map();
  const isFree = (place) => ![...taken.values()].includes(place);
  const inOrder = [...shown].sort((a, b) => own(a) - own(b));
  for (const name of inOrder) {
    const [first] = LIGHT.map((_, at) => ((wanted[name] ?? 0) + at) % LIGHT.length).filter(isFree);
    taken.set(name, first);
  }
  places.set(by, taken);
}

/** Colour, dash and mark of a group, as it was given them; grey for the small ones. */
export function styleOf(name, by) {
  const known = places.get(by) ?? new Map();
  if (!known.has(name) && known.size < LIGHT.length) known.set(name, LIGHT.findIndex((_, at) => ![...known.values()].includes(at)));
  const place = known.get(name) ?? LIGHT.length;
  places.set(by, known);
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
