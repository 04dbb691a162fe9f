// The funnel: from requests to what is still there. What was not observed is drawn as unknown, not as lost.

import { behind } from "./behind.js";
import { byId, h, reconcile } from "./dom.js";
import { count, horizon, percent } from "./format.js";
import { term } from "./tip.js";

/** Draws /api/funnel: steps {name, count, share, of, parts: [{kind, count}]}. */
export function drawFunnel(funnel) {
  const heading = byId("funnel-title");
  if (!heading.firstChild) heading.replaceChildren(term("funnel"));
  const widest = Math.max(1, ...funnel.steps.map((step) => step.count));
  const steps = funnel.steps.map((step) => ({ ...step, widest, horizon_s: funnel.horizon_s, list: behind({ horizon: funnel.horizon_s }) }));
  reconcile(byId("funnel"), steps, (step) => step.name, row);
}

const PARTS = {
  kept: "kept",
  changed: "changed or removed",
  unobserved: "not observed",
  young: "not old enough yet",
  rejected: "rejected",
  ignored: "ignored",
  superseded: "superseded",
  unanswered: "no answer",
};

/** What a part is called in a list of suggestions, where it can be listed. */
const FATES = { kept: "kept", changed: "not_kept", rejected: "rejected", ignored: "ignored", superseded: "superseded", unanswered: "unanswered" };

function row(step) {
  const title = step.name === "retained" ? `Kept after ${horizon(step.horizon_s)}` : undefined;
  const share = step.share;
  const parts = step.parts.filter((part) => part.count > 0);
  const bars = parts.map((part) =>
    h("span", { class: `part ${part.kind}`, vars: { "--share": part.count / step.widest }, title: `${PARTS[part.kind] ?? step.name}: ${count(part.count)}` }),
  );
  const told = parts.filter((part) => part.kind in PARTS);
  return h(
    "li",
    { "data-step": step.name },
    h("div", { class: "step-head" }, term(step.name, title), h("strong", { text: count(step.count) }), h("span", { class: "soft", text: share === null ? "" : `${percent(share)} ${step.of}` })),
    h("div", { class: "bar", "aria-hidden": "true" }, ...bars),
    told.length ? h("ul", { class: "parts" }, ...told.map((part) => h("li", { class: part.kind }, name(part, step)))) : null,
  );
}

function name({ kind, count: of }, { list }) {
  const text = `${PARTS[kind]} ${count(of)}`;
  return FATES[kind] ? h("a", { href: `${list}&fate=${FATES[kind]}`, title: "List them", text }) : text;
}
