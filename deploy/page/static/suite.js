// Test cases to download: a file where there are any, and why not, with the remedy, where there are none.

import { getFile } from "./api.js";
import { h } from "./dom.js";
import { count, plural } from "./format.js";

const LEFT_OUT = '{"left_out"';
const EXPECTED = [["correction", "as somebody corrected it"], ["kept", "as users kept it"]];

/** Downloads the suite at a path under /api/, as a file of a name. place: says what became of it to whoever pressed. */
export async function downloadCases(path, parameters, name, place) {
  place.replaceChildren("Reading …");
  try {
    const { text, head } = await getFile(path, parameters);
    save(text, name);
    place.replaceChildren(...told(text.trimEnd().split("\n"), head, name));
  } catch (error) {
    place.replaceChildren(h("span", { text: error.message }));
  }
}

function save(text, name) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" }));
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** How many cases there are of how many suggestions, why the others are none, and what to do with the file. */
function told(lines, head, name) {
  const left = lines.filter((line) => line.startsWith(LEFT_OUT)).map((line) => JSON.parse(line));
  const cases = lines.filter((line) => !line.startsWith(LEFT_OUT)).map((line) => JSON.parse(line));
  const [suggestions, same] = ["suggestions", "same"].map((each) => Number(head.get(`x-keeprate-${each}`)));
  const of = head.get("x-keeprate-goes-on") === "1" ? `of the first ${count(suggestions)} suggestions; keeprate cases export takes as many as you like` : `of ${plural(suggestions, "suggestion", "suggestions")}`;
  const reasons = [...new Set(left.map(({ app, why, remedy }) => `${app}: ${why}. Remedy: ${remedy}.`))];
  const expected = EXPECTED.map(([from, words]) => [cases.filter((each) => each.expected_from === from).length, words]).filter(([number]) => number > 0);
  const without = cases.length - expected.reduce((sum, [number]) => sum + number, 0);
  const outputs = [...expected.map(([number, words]) => `${count(number)} ${words}`), without ? `${count(without)} without one, whose checks say less` : ""].filter(Boolean);
  const said = [
    `${plural(cases.length, "case", "cases")} downloaded as ${name}, ${of}.`,
    same ? `${plural(same, "suggestion asks", "suggestions ask")} the same as another and ${same === 1 ? "is" : "are"} in its case.` : "",
    left.length ? `${plural(left.length, "suggestion is", "suggestions are")} left out. ${reasons.join(" ")}` : "",
    `Expected output: ${outputs.join(", ")}.`,
  ];
  const next = ["Next: ", h("code", { text: `keeprate cases run ${name} --command "…" --version …` }), ", then ", h("code", { text: `keeprate cases gate ${name}` }), " lets the version pass or not; the results stand in ", h("a", { href: "cases", text: "Test cases" }), "."];
  return [h("span", { text: `${said.filter(Boolean).join(" ")} ` }), ...next];
}
