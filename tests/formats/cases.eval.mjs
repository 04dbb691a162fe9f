// Braintrust's own Eval over exported records, which sends nothing: what each task was given, and what its score was.
import { readFileSync } from "node:fs";
import { Eval } from "braintrust";

const records = readFileSync(process.argv[2], "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
const answers = JSON.parse(readFileSync(process.argv[3], "utf8"));
const evaluator = {
  data: () => records,
  task: (input) => answers[JSON.stringify(input)],
  scores: [({ output, expected }) => ({ name: "same", score: output === expected ? 1 : 0 })],
};
const { results } = await Eval("refunds", evaluator, { noSendLogs: true, reporter: { name: "silent", reportEval: () => true, reportRun: () => true } });
console.log(`RESULTS ${JSON.stringify(results.map(({ input, expected, output, scores, metadata, tags, error }) => ({ input, expected, output, scores, metadata, tags, error: error ? String(error) : null })))}`);
