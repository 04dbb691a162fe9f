/** The page about this package does what it says: its code runs from top to bottom, and no event of it is refused. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { follow } from "../src/editor/index.ts";
import type { Event } from "../src/events.ts";
import { Generation } from "../src/generation.ts";
import { Desk, ROOT as FOLDER, TEXT } from "./desk.ts";
import { ID } from "./helpers.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PAGE = read("javascript.md");
const SERVER = `
  import { Keeprate } from "keeprate/node";
  const server = new Keeprate("editor", { url: "https://collector.example.org", key: "kr_x" });
  const client = server;
`;

function read(page: string): string {
  return readFileSync(new URL(`../../../docs/${page}`, import.meta.url), "utf8");
}

/** Runs the blocks of a page, and gives what they sent: the types of the events, or the actions. */
function run(page: string, before = ""): string[] {
  const code = [...page.matchAll(/^```js\n(.*?)^```/gms)].map(([, block]) => block).join("\n");
  const prelude = `
    import "fake-indexeddb/auto";
    const sent = [];
    globalThis.fetch = async (url, { body }) => {
      sent.push(...JSON.parse(body));
      return Response.json({ accepted: JSON.parse(body).length, refused: 0, errors: [] }, { status: 202 });
    };
    console.warn = (said) => { throw new Error(said) };
  `;
  const end = `
    if (await client.close()) throw new Error("something is left");
    if (!sent.length) throw new Error("nothing was sent");
    console.log(JSON.stringify(sent.map(({ type, action }) => action ?? type)));
    process.exit(0);
  `;
  const env = { ...process.env, KEEPRATE_SPOOL_DIR: mkdtempSync(join(tmpdir(), "keeprate-docs-")) };
  const said = execFileSync(process.execPath, ["--no-warnings", "--input-type=module", "-e", prelude + before + code + end], {
    cwd: ROOT,
    encoding: "utf8",
    env,
    timeout: 20_000,
  });
  return JSON.parse(said);
}

test("the code of the page runs", () => {
  const sent = run(PAGE);
  for (const name of ["generation", "shown", "accept", "vote", "flag", "edit"]) assert.ok(sent.includes(name), sent.join());
});

test("the code of the events' reference runs, and has every type", () => {
  const sent = run(read("events.md"), SERVER);
  const types = ["generation", "shown", "accept", "flag", "vote", "edit", "retention_check", "evaluation"];
  for (const name of types) assert.ok(sent.includes(name), sent.join());
});

test("the code of an editor's extension runs, and what is accepted is followed", async () => {
  const [block] = [...PAGE.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code]) => code!);
  const desk = new Desk();
  const context = { storageUri: "file:///storage", globalStorageUri: "file:///global", subscriptions: [] };
  const client = { emit: (event: Event) => !!desk.events.push(event) };
  const names = {
    follow: (...given: Parameters<typeof follow>) => follow(given[0], given[1], given[2], desk),
    vscode: desk.code,
    context,
    client,
    suggestion: new Generation({ emit: () => true }, { generation_id: ID }).accept(TEXT),
    document: desk.open(`${FOLDER}/add.py`, TEXT),
    offset: 0,
    text: TEXT,
    replaced: "",
  };
  const code = new Function(...Object.keys(names), `return (async () => {${block}})()`);
  await code(...Object.values(names));
  await desk.pass(30);
  assert.deepEqual(desk.checks, [[30, TEXT]]);
});

test("every setting is described", () => {
  const table = PAGE.split("## Settings")[1]!.split("\n## ")[0]!;
  const described = [...table.matchAll(/^\| ((?:`\w+`(?:, )?)+) \|/gm)].flatMap(([, names]) => names!.match(/\w+/g)!);
  const source = ["client.ts", "outbox.ts", "server.ts", "node.ts"].map((name) => readFileSync(new URL(`../src/${name}`, import.meta.url), "utf8"));
  const declared = source.flatMap((text) =>
    [...text.matchAll(/(?:interface (?:Settings|ServerSettings|Pace) |type NodeSettings )[^{]*\{(.*?)^\}/gms)].flatMap(([, body]) =>
      [...body!.matchAll(/^  (\w+)\??:/gm)].map(([, name]) => name!),
    ),
  );
  assert.ok(declared.length > 10);
  assert.deepEqual(described.sort(), [...new Set(declared)].sort());
});
