// Operations: what did not get through, or not yet; whether it adds up; and what is watched.

import { drawAccounts, drawDrift } from "./health.js";
import { drawIntake } from "./intake.js";
import { run } from "./loop.js";
import { drawVitals } from "./vitals.js";

run({ questions: { operations: { status: drawVitals, intake: drawIntake }, health: { accounts: drawAccounts, drift: drawDrift } } });
