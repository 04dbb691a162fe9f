// The first event: how to send one, with this installation's addresses, and whether it arrived.

import { get } from "./api.js";
import { h, setText } from "./dom.js";
import { time } from "./format.js";

const EVERY_MS = 2000;

const PYTHON = ({ brokers }) => `# pip install keeprate
from keeprate.producers import Keeprate

client = Keeprate("my-app", brokers="${brokers}")
generation = client.generation(model="my-model", prompt_version="v1", output="return a + b")
generation.shown().accept()
client.close()`;

const HTTPS = ({ collector }) => `# keeprate keys create my-app; keeprate collector
from keeprate.producers import Keeprate

client = Keeprate("my-app", url="${collector}", key="kr_…")
generation = client.generation(model="my-model", prompt_version="v1", output="return a + b")
generation.shown().accept()
client.close()`;

const CURL = ({ collector }) => `# keeprate keys create my-app; keeprate collector
curl ${collector}/v1/events -H "Authorization: Bearer $KEEPRATE_KEY" \\
  -H 'Content-Type: application/json' -d '[
  {"type": "generation", "generation_id": "${crypto.randomUUID?.() ?? "0198c0de-0000-4000-8000-000000000001"}",
   "model": "my-model", "prompt_version": "v1", "output": "return a + b"}]'`;

const JAVASCRIPT = ({ collector }) => `// keeprate keys create my-app; keeprate collector
import { Keeprate } from "keeprate/node";

const client = new Keeprate("my-app", { url: "${collector}", key: "kr_…" });
client.generation({ model: "my-model", prompt_version: "v1", output: "return a + b" }).shown().accept();
await client.close();`;

const WAYS = { Python: PYTHON, "Python, over HTTPS": HTTPS, JavaScript: JAVASCRIPT, curl: CURL };

/** Snippets, and a line that waits for the first event and turns green. */
export function firstEvent() {
  const code = h("code", { text: "…" });
  const copy = h("button", { type: "button", text: "Copy", onclick: () => copied(copy, code.textContent) });
  const choice = h("select", { "aria-label": "How to send", onchange: () => show() });
  choice.append(...Object.keys(WAYS).map((name) => h("option", { value: name, text: name })));
  let addresses = null;
  const show = (found = addresses) => {
    addresses = found;
    if (addresses !== null) code.textContent = WAYS[choice.value](addresses);
  };
  const line = arrivalLine((found) => { if (addresses === null) show(found); });
  return h("div", { class: "first-event" }, h("div", { class: "ways" }, choice, copy), h("pre", {}, code), line);
}

/** A line that says whether an event arrived and what became of it. It asks for as long as it is on the page. */
export function arrivalLine(heard = () => {}) {
  const line = h("p", { class: "arrival", role: "status", text: "Waiting for your first event…" });
  const look = async () => {
    try {
      const found = await get("arrival", []);
      heard(found);
      tell(line, found);
    } catch (error) {
      line.className = "arrival";
      line.textContent = `Waiting. The last look failed: ${error.message}`;
    }
    setTimeout(() => line.isConnected && look(), EVERY_MS);
  };
  // Once it is on the page: whoever makes it puts it there in this turn.
  setTimeout(look);
  return line;
}

function tell(line, { newest, refused }) {
  if (newest !== null) {
    const what = newest.action ?? newest.type;
    line.className = `arrival ${newest.fate === "joined" ? "good" : ""}`;
    line.textContent = {
      joined: `${what} of ${newest.app} arrived ${time(newest.stored_at)}, and is joined.`,
      orphan: `${what} of ${newest.app} arrived ${time(newest.stored_at)}. Its generation has not: send that with the same generation_id.`,
      waiting: `${what} of ${newest.app} arrived ${time(newest.stored_at)}, and no worker has seen it yet. Is keeprate worker running?`,
    }[newest.fate];
  } else if (refused !== null) {
    line.className = "arrival bad";
    setText(line, `A record ${refused.app ? `of ${refused.app} ` : ""}was refused: ${refused.field ? `${refused.field}: ` : ""}${refused.reason}`);
  }
}

async function copied(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // A browser may forbid it, and then the text is to be marked by hand.
    button.textContent = "Mark it and copy";
  }
  setTimeout(() => { button.textContent = "Copy"; }, EVERY_MS);
}
