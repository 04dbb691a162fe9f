// Test cases to download: a file where there are any, and why not, with the remedy, where there are none.

import { getText } from "./api.js";
import { h } from "./dom.js";
import { plural } from "./format.js";

const LEFT_OUT = '{"left_out"';

/** Downloads the suite at a path under /api/. say: shows a sentence to whoever pressed the button. */
export async function downloadCases(path, parameters, say) {
  say("Reading …");
  try {
    const text = await getText(path, parameters);
    save(text);
    say(told(text.trimEnd().split("\n")));
  } catch (error) {
    say(error.message);
  }
}

function save(text) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" }));
  h("a", { href: address, download: "cases.jsonl" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** How many cases there are, and for what reasons suggestions are left out. */
function told(lines) {
  const left = lines.filter((line) => line.startsWith(LEFT_OUT)).map((line) => JSON.parse(line));
  const reasons = [...new Set(left.map(({ app, why, remedy }) => `${app}: ${why}. Remedy: ${remedy}.`))];
  const head = `${plural(lines.length - left.length, "case", "cases")} downloaded.`;
  return left.length ? `${head} ${plural(left.length, "suggestion is", "suggestions are")} left out. ${reasons.join(" ")}` : head;
}
