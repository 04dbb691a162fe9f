/** The page about this package does what it says: its code runs from top to bottom, and no event of it is refused. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PAGE = readFileSync(new URL("../../../docs/javascript.md", import.meta.url), "utf8");
const code = [...PAGE.matchAll(/^```js\n(.*?)^```/gms)].map(([, block]) => block).join("\n");

test("the code of the page runs", () => {
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
  const said = execFileSync(process.execPath, ["--no-warnings", "--input-type=module", "-e", prelude + code + end], {
    cwd: ROOT,
    encoding: "utf8",
    env,
    timeout: 20_000,
  });
  for (const name of ["generation", "shown", "accept", "vote", "flag", "edit"]) assert.ok(said.includes(name), said);
});

test("every setting is described", () => {
  const table = PAGE.split("## Settings")[1]!.split("\n## ")[0]!;
  const described = [...table.matchAll(/^\| ((?:`\w+`(?:, )?)+) \|/gm)].flatMap(([, names]) => names!.match(/\w+/g)!);
  const source = ["client.ts", "outbox.ts", "node.ts"].map((name) => readFileSync(new URL(`../src/${name}`, import.meta.url), "utf8"));
  const declared = source.flatMap((text) =>
    [...text.matchAll(/(?:interface (?:Settings|Pace) |type NodeSettings )[^{]*\{(.*?)^\}/gms)].flatMap(([, body]) =>
      [...body!.matchAll(/^  (\w+)\??:/gm)].map(([, name]) => name!),
    ),
  );
  assert.ok(declared.length > 10);
  assert.deepEqual(described.sort(), declared.sort());
});
