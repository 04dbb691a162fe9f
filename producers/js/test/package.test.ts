/** What is published: it is small, it can be imported and required, with its types, and brings no side effect. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { publint } from "publint";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PACKAGE = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const ENTRIES = Object.keys(PACKAGE.exports).filter((name) => name !== "./package.json");
/** The most bytes of each entry, minified and compressed, as a page would load it. */
const LIMITS: Record<string, number> = { ".": 4_096, "./server": 5_000, "./track": 2_600 };

const app = mkdtempSync(join(tmpdir(), "keeprate-app-"));
after(() => rmSync(app, { recursive: true }));
mkdirSync(join(app, "node_modules"));
symlinkSync(ROOT, join(app, "node_modules", "keeprate"));

async function bundled(source: string): Promise<string> {
  const stdin = { contents: source, resolveDir: app };
  const made = await build({ stdin, bundle: true, minify: true, format: "esm", write: false, target: "es2022" });
  return made.outputFiles[0]!.text;
}

for (const [entry, limit] of Object.entries(LIMITS)) {
  test(`a page that imports ${entry} loads ${limit} bytes at most`, async () => {
    const code = await bundled(`export * from "${join("keeprate", entry)}";`);
    const size = gzipSync(code, { level: 9 }).length;
    assert.ok(size <= limit, `${size} bytes`);
    assert.ok(size > limit * 0.8, `only ${size} bytes: lower the limit`);
  });
}

test("what is imported and not used is left out", async () => {
  for (const entry of ENTRIES) {
    if (entry === "./node") continue;
    assert.equal((await bundled(`import "${join("keeprate", entry)}";`)).trim(), "", entry);
  }
});

test("the package is as registries and bundlers want it", async () => {
  const { messages } = await publint({ pkgDir: ROOT, pack: false, strict: true });
  assert.deepEqual(messages, []);
});

test("every entry can be imported and required, and gives the same names", async () => {
  for (const entry of ENTRIES) {
    const name = entry.replace(".", "keeprate");
    const names = (code: string, type: string) =>
      execFileSync(process.execPath, [`--input-type=${type}`, "-e", `${code}; console.log(Object.keys(all).filter((n) => n !== "__esModule").sort().join())`], {
        cwd: app,
        encoding: "utf8",
      });
    const imported = names(`import * as all from "${name}"`, "module");
    assert.ok(imported.trim());
    assert.equal(names(`const all = require("${name}")`, "commonjs"), imported, name);
  }
});

test("both ways have their types", () => {
  const source = `import { Keeprate } from "keeprate/server";
const client = new Keeprate("shop", { url: "https://collector.example", key: "kr_" });
client.generation({ output: "x" }).shown().accept().vote(1).flag("wrong", { severity: "low" });
// @ts-expect-error no vote is 7
client.feedback("id").vote(7);
`;
  writeFileSync(join(app, "imports.mts"), source);
  writeFileSync(join(app, "requires.cts"), source);
  const flags = ["--noEmit", "--strict", "--module", "nodenext", "--lib", "es2023,dom", "--types", ""];
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, ...flags, "imports.mts", "requires.cts"], { cwd: app, encoding: "utf8" });
});
