// The selection: read from the address, so that a link shows what its sender saw. It imports nothing: see first.js.

/** What pages have in common, and takes from one to the other. */
const SHARED = { app: "", environment: "", period: "7d", horizon: "" };
/** What the server is asked besides, each where the page's question knows it: see ASKED. */
const OWN = {
  overview: { by: "prompt_version", metric: "", variant: "observed", kind: "", focus: "", sort: "shown", descending: "1" },
  versions: { component: "prompt_version", split: "language", metric: "", prompt: "" },
  why: { metric: "", release: "" },
  suggestions: { fate: "", signal: "", text: "", order: "newest", open: "" },
  cases: {},
  operations: {},
  review: { queue: "" },
};
/** How numbers are drawn is nothing to ask the server. */
const DRAWN = new Set(["open", "queue", "prompt", "variant", "focus", "sort", "descending"]);

const own = OWN[document.documentElement.dataset.page] ?? {};
const defaults = { ...SHARED, ...own };

/** The selection that the address holds. `only` holds filters as the command line has them: "language=python". */
export function readAddress() {
  const address = new URLSearchParams(location.search);
  const single = Object.entries(defaults).map(([name, value]) => [name, address.get(name) ?? value]);
  return { ...Object.fromEntries(single), only: address.getAll("only").filter((each) => each.includes("=")) };
}

/** The names in the address by which a span of time was meant that no page takes: whoever made it is told. */
export function spanOfAddress() {
  return ["from", "to", "since", "until"].filter((name) => new URLSearchParams(location.search).has(name));
}

/** Puts what differs from the defaults into the address, without a reload. */
export function writeAddress(chosen) {
  history.replaceState(null, "", addressOf(chosen, defaults) || location.pathname);
}

/** "?app=editor&only=language%3Dpython": of a selection, what differs from the defaults; without more, what pages share. */
export function addressOf({ only, ...chosen }, of = SHARED) {
  const changed = Object.entries(chosen).filter(([name, value]) => name in of && value !== of[name]);
  const query = new URLSearchParams([...changed, ...only.map((each) => ["only", each])]).toString();
  return query && `?${query}`;
}

/** What the server is asked: everything of the selection that changes numbers, and not how they are drawn. */
export function parametersOf({ only, ...chosen }) {
  const single = Object.keys(defaults).filter((name) => !DRAWN.has(name)).map((name) => [name, chosen[name]]);
  return [...single, ...only.map(split)];
}

/** What every question of a selection takes: whose numbers, of when. */
export function sharedParametersOf({ only, ...chosen }) {
  return [...Object.keys(SHARED).map((name) => [name, chosen[name]]), ...only.map(split)];
}

/** "language=python" as dimension and value; a value may hold further signs. */
export const split = (filter) => [filter.slice(0, filter.indexOf("=")), filter.slice(filter.indexOf("=") + 1)];
