// The selection: read from the address, so that a link shows what its sender saw, and offered as controls.

import { byId, options, segments } from "./dom.js";
import { horizon } from "./format.js";
import { drawOnly, split } from "./only.js";

const DEFAULTS = {
  app: "",
  environment: "",
  period: "7d",
  by: "prompt_version",
  horizon: "",
  metric: "acceptance_rate",
  variant: "observed",
  kind: "",
  focus: "",
  sort: "shown",
  descending: "1",
};

/** The selection that the address holds. `only` holds filters as the command line has them: "language=python". */
export function readAddress() {
  const address = new URLSearchParams(location.search);
  const single = Object.entries(DEFAULTS).map(([name, value]) => [name, address.get(name) ?? value]);
  return { ...Object.fromEntries(single), only: address.getAll("only").filter((each) => each.includes("=")) };
}

/** Puts what differs from the defaults into the address, without a reload. */
export function writeAddress({ only, ...chosen }) {
  const changed = Object.entries(chosen).filter(([name, value]) => value !== DEFAULTS[name]);
  const query = new URLSearchParams([...changed, ...only.map((each) => ["only", each])]).toString();
  history.replaceState(null, "", query ? `?${query}` : location.pathname);
}

/** The horizon in force: the chosen one, else the one that the server proposes for what the apps check. */
export const horizonOf = (chosen, meta) => Number(chosen.horizon || meta.default_horizon_s);

/** What the server is asked: everything of the selection that changes numbers, and not how they are drawn. */
export function parametersOf({ only, ...chosen }) {
  const single = ["app", "environment", "period", "by", "metric", "kind", "horizon"].map((name) => [name, chosen[name]]);
  return [...single, ...only.map(split)];
}

/** Draws the controls; each change goes to `choose`. */
export function drawFilters(meta, chosen, choose) {
  select("app", [{ value: "", text: "All apps" }, ...meta.apps.map(plain)], chosen.app, (app) => choose({ app }));
  select("environment", [{ value: "", text: "All" }, ...meta.environments.map(plain)], chosen.environment, (environment) => choose({ environment }));
  const [first = "", second = ""] = chosen.by.split(",");
  const cut = (...names) => choose({ by: [...new Set(names)].filter(Boolean).join(","), focus: "" });
  select("by", meta.dimensions, first, (by) => cut(by, by && second));
  select("and", meta.dimensions.filter(({ value }) => value !== first || value === ""), second, (by) => cut(first, by));
  byId("filter-and").disabled = first === "";
  drawOnly(meta, chosen, choose, parametersOf);
  const periods = meta.periods.map(({ value, text }) => ({ value, text: value, title: text }));
  segments(byId("filter-period"), "period", periods, chosen.period, (period) => choose({ period }));
  const horizons = meta.horizons_s.map((each) => ({ value: String(each), text: horizon(each) }));
  segments(byId("filter-horizon"), "horizon", horizons, horizonOf(chosen, meta), (each) => choose({ horizon: each }));
}

const plain = (name) => ({ value: name, text: name });

function select(name, all, chosen, onChange) {
  const control = byId(`filter-${name}`);
  options(control, all, chosen);
  control.onchange = () => onChange(control.value);
}
