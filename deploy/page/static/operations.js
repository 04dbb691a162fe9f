// Operations: what did not get through, or not yet.

import { drawIntake } from "./intake.js";
import { run } from "./loop.js";
import { drawVitals } from "./vitals.js";

run({ questions: { operations: { status: drawVitals, intake: drawIntake } } });
