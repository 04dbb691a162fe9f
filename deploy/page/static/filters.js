// The selection: read from the address, so that a link shows what its sender saw, and offered as controls.

import { byId, options, segments } from "./dom.js";
import { horizon } from "./format.js";

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

/** The selection that the address holds. */
export function readAddress() {
  const address = new URLSearchParams(location.search);
  return Object.fromEntries(Object.entries(DEFAULTS).map(([name, value]) => [name, address.get(name) ?? value]));
}

/** Puts what differs from the defaults into the address, without a reload. */
export function writeAddress(chosen) {
  const changed = Object.entries(chosen).filter(([name, value]) => value !== DEFAULTS[name]);
  const query = new URLSearchParams(changed).toString();
  history.replaceState(null, "", query ? `?${query}` : location.pathname);
}

/** The horizon in force: the chosen one, else the one that the server proposes for what the apps check. */
export const horizonOf = (chosen, meta) => Number(chosen.horizon || meta.default_horizon_s);

/** What the server is asked: everything of the selection that changes numbers, and not how they are drawn. */
export function parametersOf({ app, environment, period, by, metric, kind, horizon }) {
  return { app, environment, period, by, metric, kind, horizon };
}

/** Draws the controls; each change goes to `choose`. */
export function drawFilters(meta, chosen, choose) {
  select("app", [{ value: "", text: "All apps" }, ...meta.apps.map(plain)], chosen, choose);
  select("environment", [{ value: "", text: "All" }, ...meta.environments.map(plain)], chosen, choose);
  select("by", meta.dimensions, chosen, choose);
  const periods = meta.periods.map(({ value, text }) => ({ value, text: value, title: text }));
  segments(byId("filter-period"), "period", periods, chosen.period, (period) => choose({ period }));
  const horizons = meta.horizons_s.map((each) => ({ value: String(each), text: horizon(each) }));
  segments(byId("filter-horizon"), "horizon", horizons, horizonOf(chosen, meta), (each) => choose({ horizon: each }));
}

const plain = (name) => ({ value: name, text: name });

function select(name, all, chosen, choose) {
  const control = byId(`filter-${name}`);
  options(control, all, chosen[name]);
  control.onchange = () => choose({ [name]: control.value, ...(name === "by" ? { focus: "" } : {}) });
}
