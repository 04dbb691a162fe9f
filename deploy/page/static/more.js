// More of what users keep: untouched, cost, votes, flags, latency; each with its interval and the period before.

import { byId, h, reconcile } from "./dom.js";
import { count, duration, horizon, interval, percent, points } from "./format.js";
import { term } from "./tip.js";

/** Draws /api/more: `shares` with rate, previous and change; `cost` and `latency`, each now and before. */
export function drawMore({ shares, cost, latency, horizon_s, period }) {
  const cards = [...shares.map((each) => share(each, period)), price(cost, horizon_s, period), ...latency.now.map((each, at) => time(each, latency.before[at], period))];
  reconcile(byId("more"), cards, (card) => card.name, draw);
}

function share({ name, rate, of, better, previous, change }, period) {
  const about = `${count(rate.numerator)} of ${count(rate.denominator)} ${of}`;
  const said = change && previous ? `${points(change.value)} vs the ${period} before${change.clear ? "" : ", no certain change"}` : `nothing to compare in the ${period} before`;
  const tone = !change?.clear ? "unclear" : (change.value > 0) === (better === "higher") ? "better" : "worse";
  return { name, value: percent(rate.value), between: rate.value === null ? "no denominator yet" : interval(rate), said, tone, about };
}

const usd = (value) => `$${value.toPrecision(3)}`;

function price({ now, before }, horizon_s, period) {
  if (!now) return { name: "cost_per_kept", value: "–", between: "no cost or nothing kept", said: "", tone: "unclear", about: "" };
  return { name: "cost_per_kept", value: usd(now.value), between: `${usd(now.low)}–${usd(now.high)}`, said: before ? `${usd(before.value)} in the ${period} before` : "", tone: "unclear", about: `for each of ${count(now.kept)} kept after ${horizon(horizon_s)}` };
}

function time({ level, value_ms, low_ms, high_ms, calls }, before, period) {
  const text = (ms) => duration(ms / 1000);
  return { name: level === 0.5 ? "latency_p50" : "latency_p95", value: text(value_ms), between: `${text(low_ms)}–${text(high_ms)}`, said: before ? `${text(before.value_ms)} in the ${period} before` : "", tone: "unclear", about: `of ${count(calls)} requests` };
}

function draw({ name, value, between, said, tone, about }) {
  return h(
    "article",
    { class: "key small", "data-metric": name, id: name },
    h("h3", {}, term(name)),
    h("p", { class: "key-value", text: value }),
    h("p", { class: "key-interval", text: between }),
    h("p", { class: `key-change ${tone}` }, h("strong", { text: said })),
    h("p", { class: "key-of", text: about }),
  );
}
