// Colours of the groups. Okabe and Ito's set, told apart by any kind of colour vision, with a dash and a mark each, so
// that colour is never the only difference. Both themes keep a contrast of 3:1 against their panels.

const LIGHT = ["#0b5cad", "#c44e00", "#007d5a", "#a2407a", "#8a6d00", "#3d7f9e"];
const DARK = ["#5ab0f2", "#ff9a57", "#3fc79a", "#e495c4", "#e3c04a", "#9cd3ea"];
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

/** The same colour, transparent. */
export function fade(colour, alpha) {
  const parts = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return `rgba(${parts.join(",")},${alpha})`;
}
