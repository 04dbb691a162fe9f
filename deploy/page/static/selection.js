// The selection: read from the address, so that a link shows what its sender saw. It imports nothing: see first.js.

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

/** What the server is asked: everything of the selection that changes numbers, and not how they are drawn. */
export function parametersOf({ only, ...chosen }) {
  const single = ["app", "environment", "period", "by", "metric", "kind", "horizon"].map((name) => [name, chosen[name]]);
  return [...single, ...only.map(split)];
}

/** "language=python" as dimension and value; a value may hold further signs. */
export const split = (filter) => [filter.slice(0, filter.indexOf("=")), filter.slice(filter.indexOf("=") + 1)];
