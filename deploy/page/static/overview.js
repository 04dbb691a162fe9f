// The first screen: what is worse or better, and what users keep.

import { drawAlarms } from "./alarms.js";
import { drawAlerts } from "./alerts.js";
import { drawCompare } from "./compare.js";
import { drawEmpty } from "./empty.js";
import { drawFeedback } from "./feedback.js";
import { drawFunnel } from "./funnel.js";
import { drawBaseline, drawKeys, drawOlder } from "./keys.js";
import { run } from "./loop.js";
import { drawMore } from "./more.js";
import { drawReleases, drawWhere } from "./releases.js";
import { drawRetention } from "./retention.js";
import { drawSeries } from "./series.js";
import { drawVitals } from "./vitals.js";

/** The table stands before the charts: it gives the groups their colours. */
const screen = {
  status: drawVitals,
  summary: drawKeys,
  releases(found, view) {
    drawReleases(found, view);
    drawOlder(found, view);
  },
  compare: drawCompare,
  series: drawSeries,
  retention: drawRetention,
  funnel: drawFunnel,
  feedback: drawFeedback,
};

/** What takes longer than the first numbers may. */
const overview = { alerts: drawAlerts, where: drawWhere, alarms: drawAlarms, more: drawMore, baseline: drawBaseline };

run({ questions: { screen, overview }, empty: drawEmpty, charts: true });
