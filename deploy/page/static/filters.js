// The selection as controls: each change goes on to whoever asks for its numbers.

import { byId, options, segments } from "./dom.js";
import { horizon } from "./format.js";
import { drawOnly } from "./only.js";

/** The horizon in force: the chosen one, else the one that the server chose for what the apps check. */
export const horizonOf = (chosen, meta) => Number(chosen.horizon || meta.horizon_s);

// On a phone the filters would stand where the numbers are to be: there they open by a press.
byId("all-filters").onclick = ({ currentTarget: button }) => {
  const isOpen = byId("filters").classList.toggle("open");
  button.setAttribute("aria-expanded", String(isOpen));
  button.textContent = isOpen ? "Fewer filters" : "All filters";
};

const used = document.documentElement.dataset.uses.split(" ");

/** Draws the controls that the page uses; each change goes to `choose`. */
export function drawFilters(meta, chosen, choose) {
  for (const control of byId("filters").querySelectorAll("[data-for]")) control.hidden = !used.includes(control.dataset.for);
  select("app", [{ value: "", text: "All apps" }, ...meta.apps.map(plain)], chosen.app, (app) => choose({ app }));
  select("environment", [{ value: "", text: "All" }, ...meta.environments.map(plain)], chosen.environment, (environment) => choose({ environment }));
  if (used.includes("by")) drawCuts(meta, chosen, choose);
  drawOnly(meta, chosen, choose);
  const periods = meta.periods.map(({ value, text }) => ({ value, text: value, title: text }));
  segments(byId("filter-period"), "period", periods, chosen.period, (period) => choose({ period }));
  const horizons = meta.horizons_s.map((each) => ({ value: String(each), text: horizon(each) }));
  segments(byId("filter-horizon"), "horizon", horizons, horizonOf(chosen, meta), (each) => choose({ horizon: each }));
}

/** What the numbers are cut by: nothing, one dimension or two. */
function drawCuts(meta, chosen, choose) {
  const [first = "", second = ""] = chosen.by.split(",");
  const cut = (...names) => choose({ by: [...new Set(names)].filter(Boolean).join(","), focus: "" });
  select("by", meta.dimensions, first, (by) => cut(by, by && second));
  select("and", meta.dimensions.filter(({ value }) => value !== first || value === ""), second, (by) => cut(first, by));
  byId("filter-and").disabled = first === "";
}

const plain = (name) => ({ value: name, text: name });

function select(name, all, chosen, onChange) {
  const control = byId(`filter-${name}`);
  options(control, all, chosen);
  control.onchange = () => onChange(control.value);
}
