/** What a retention check says about two texts: four-grams, no-revert, retained characters, lexemes. */

import { apart, length, levenshtein, MAX_PAIRS, normalise } from "./text.ts";

const GRAM = 4;
const MAX_LEXEME_COST = 2 ** 31;
/** What each lexeme of the current text costs, in lexemes of the original. */
const STEP_COST = 2 ** 12;

/** Code units of the original that are still there in their order: the longest common subsequence; null beyond MAX_PAIRS. */
export function retainedLength(original: string, current: string): number | null {
  const whole = normalise(original);
  const [a, b] = apart(whole, normalise(current)) as [string, string];
  if (a.length * b.length > MAX_PAIRS) return null;
  const where = positions(a.split(""));
  const every = (1n << BigInt(a.length)) - 1n;
  // Bit by bit of the original, at once: whether the subsequence does not grow there (Hyyrö 2004).
  let row = every;
  for (const unit of b.split("")) {
    const matched = row & (where.get(unit) ?? 0n);
    row = ((row + matched) | (row - matched)) & every;
  }
  return whole.length - a.length + (every ^ row).toString(2).replaceAll("0", "").length * +!!a;
}

/** Share of four-grams in common, counted with repetition. 0 when either text is shorter than a gram. */
export function fourGramSimilarity(one: string, other: string): number {
  const a = normalise(one);
  const b = normalise(other);
  if (a === b) return 1;
  if (Math.min(a.length, b.length) < GRAM) return 0;
  const surplus = new Map<string, number>();
  const add = (text: string, by: number): void => {
    for (let at = 0; at + GRAM <= text.length; at++) {
      const gram = text.slice(at, at + GRAM);
      surplus.set(gram, (surplus.get(gram) ?? 0) + by);
    }
  };
  add(a, 1);
  add(b, -1);
  const total = a.length + b.length - 2 * (GRAM - 1);
  let different = 0;
  for (const count of surplus.values()) different += Math.abs(count);
  return (total - different) / total;
}

/** One range that was edited: its text before the edit, as the edit made it, and as it is now. */
export interface EditedRange {
  before: string;
  made: string;
  current: string;
}

/** How far the edits have not gone back towards the text before them: 1 not at all, 0 wholly. Weighted by length. */
export function noRevert(ranges: Iterable<EditedRange>): number {
  let sum = 0;
  let total = 0;
  for (const range of ranges) {
    const weight = length(range.before);
    sum += weight * rangeNoRevert(range);
    total += weight;
  }
  return total ? sum / total : 1;
}

function rangeNoRevert({ before, made, current }: EditedRange): number {
  const was = fourGramSimilarity(made, before);
  if (was === 1) return 1;
  return 1 - Math.max(fourGramSimilarity(current, before) - was, 0) / (1 - was);
}

/** Runs of letters, decimal digits and `_`; runs of two or more spaces; any other code point but a single space. */
export function lexemes(text: string): string[] {
  return (text.match(/[\p{L}\p{Nd}_]+| +|./gsu) ?? []).filter((run) => run !== " ");
}

/** The least edits that place the original's lexemes inside the current ones (Copilot); null where that takes too long. */
export function lexemeDistance(original: readonly string[], current: readonly string[]): number | null {
  const count = original.length;
  if (count === current.length && original.every((lexeme, at) => lexeme === current[at])) return 0;
  if (!count || !current.length) return count;
  if (current.length * (count + STEP_COST) > MAX_LEXEME_COST) return null;
  const first = original[0]!;
  const last = original[count - 1]!;
  const top = 1n << BigInt(count - 1);
  const inner = positions(original.map((lexeme, at) => (at && at < count - 1 ? lexeme : null)));
  // What a user types on at either end of an accepted text makes one word of two.
  const matches = current.map(
    (lexeme) => (inner.get(lexeme) ?? 0n) | BigInt(lexeme.endsWith(first)) | (lexeme.startsWith(last) ? top : 0n),
  );
  return placed(matches, count);
}

/** The positions of each element of a sequence, as bits. */
function positions<T>(sequence: readonly T[]): Map<T, bigint> {
  const found = new Map<T, bigint>();
  sequence.forEach((each, at) => found.set(each, (found.get(each) ?? 0n) | (1n << BigInt(at))));
  return found;
}

/**
 * Least distance of `count` elements to any stretch of others, each given as the positions that it matches (Myers,
 * JACM 46(3), 1999). rises, falls: where the distance of the first i + 1 is one more, or less, than that of the first i.
 */
function placed(matches: readonly bigint[], count: number): number {
  const every = (1n << BigInt(count)) - 1n;
  const top = 1n << BigInt(count - 1);
  let rises = every;
  let falls = 0n;
  let distance = count;
  let least = count;
  for (const equal of matches) {
    const diagonal = (((equal & rises) + rises) ^ rises) | equal;
    let grows = falls | (every & ~(diagonal | rises));
    let shrinks = rises & diagonal;
    if (grows & top) distance++;
    if (shrinks & top) distance--;
    least = Math.min(least, distance);
    grows <<= 1n;
    shrinks = (shrinks << 1n) & every;
    const level = equal | falls;
    rises = shrinks | (every & ~(level | grows));
    falls = grows & level;
  }
  return least;
}

/** All that a retention check says about two texts, in the words of the events. */
export interface Survival {
  original_length: number;
  current_length: number;
  distance: number;
  original_lexemes: number;
  lexeme_distance?: number;
  four_gram: number;
  retained_length: number;
}

/** Compare an accepted text with what became of it; null where both are too long to compare. */
export function survival(original: string, current: string): Survival | null {
  const distance = levenshtein(original, current);
  const retained = retainedLength(original, current);
  if (distance === null || retained === null) return null;
  const accepted = lexemes(normalise(original));
  const moved = lexemeDistance(accepted, lexemes(normalise(current)));
  return {
    original_length: length(original),
    current_length: length(current),
    distance,
    original_lexemes: accepted.length,
    ...(moved === null ? {} : { lexeme_distance: moved }),
    four_gram: fourGramSimilarity(original, current),
    retained_length: retained,
  };
}
