/** Texts are measured as Python measures them. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fourGramSimilarity, lexemes, noRevert, survival } from "../src/survival.ts";
import { length, levenshtein, lineCount } from "../src/text.ts";

const data = (name: string) => JSON.parse(readFileSync(new URL(`../../../tests/data/${name}`, import.meta.url), "utf8"));

test("every pair has the numbers that Python gives it", () => {
  const vectors = data("text_vectors.json");
  assert.ok(vectors.length > 150);
  for (const { original, current, lines, middle, no_revert, ...numbers } of vectors) {
    const found = survival(original, current);
    const near = Math.abs(found!.four_gram - numbers.four_gram) < 1e-12;
    assert.ok(near, JSON.stringify({ original, current }));
    assert.deepEqual({ ...found, four_gram: numbers.four_gram }, numbers, JSON.stringify({ original, current }));
    assert.equal(lineCount(original), lines);
    const reverted = noRevert([{ before: original, made: current, current: middle }]);
    assert.ok(Math.abs(reverted - no_revert) < 1e-12, JSON.stringify({ original, current, reverted, no_revert }));
  }
});

test("every pair of Copilot's has Copilot's lexeme distance", () => {
  const vectors = data("copilot_lexemes.json");
  assert.equal(vectors.length, 208);
  for (const { original, current, lexeme_distance, original_lexemes } of vectors) {
    const found = survival(original, current)!;
    assert.deepEqual([found.lexeme_distance, found.original_lexemes], [lexeme_distance, original_lexemes]);
  }
});

test("lengths count UTF-16 code units, and CRLF as one of them", () => {
  assert.equal(length("a😀\r\n"), 4);
  assert.equal(levenshtein("😀", "😁"), 1);
  assert.deepEqual(lexemes("x²y  😀"), ["x", "²", "y", "  ", "😀"]);
});

test("what would hold a page up for longer than half a second is not compared", () => {
  assert.equal(levenshtein("a".repeat(20_000), "b".repeat(20_000)), null);
  assert.equal(survival("a".repeat(20_000), "b".repeat(20_000)), null);
  const long = "value = compute(value)\n".repeat(20_000);
  assert.equal(levenshtein(long, long.replace("compute", "computed")), 1);
});

test("a range that went back to the text before its edit is reverted, and an insertion has no say", () => {
  const range = { before: "abcdefgh", made: "stuvwxyz" };
  assert.equal(noRevert([{ ...range, current: "abcdefgh" }, { ...range, current: "stuvwxyz" }]), 0.5);
  assert.equal(noRevert([{ before: "", made: "abcdef", current: "" }]), 1);
  assert.equal(fourGramSimilarity("abcd", "abce"), 0);
});
