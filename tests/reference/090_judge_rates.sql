-- Each LLM judge against people, on the suggestions that both judged under one name. The latest human
-- evaluation is the truth; precision and recall are per label, one against the rest. A bare value is its own label.
CREATE OR REPLACE VIEW reference_judge_rates AS
WITH
    (name, label, k, n, trials) -> tuple(name, toFloat64(k), toFloat64(n), toFloat64(pairs), toFloat64(judged),
        toFloat64(trials), label) AS share,
    -- Wilson's interval at 95 %: z = 1.959963984540054, z² = 3.841458820694124.
    (value + 1.920729410347062 / trials) / (1 + 3.841458820694124 / trials) AS centre,
    1.959963984540054 / (1 + 3.841458820694124 / trials)
        * sqrt(value * (1 - value) / trials + 0.960364705173531 / pow(trials, 2)) AS half_width
SELECT
    bucket_at, app, environment, user, operation, surface, language, provider, model, prompt_name, prompt_version,
    context_strategy, step, experiment, variant, toolset,
    evaluation, annotator, label, metric, numerator, denominator, value, coverage,
    -- The bounds are held around the value, because rounding may push them past 0 or 1.
    if(trials IS NULL, NULL, least(value, greatest(0, centre - half_width))) AS interval_low,
    if(trials IS NULL, NULL, greatest(value, least(1, centre + half_width))) AS interval_high
FROM
(
    SELECT
        bucket_at, app, environment, user, operation, surface, language, provider, model, prompt_name, prompt_version,
        context_strategy, step, experiment, variant, toolset,
        evaluation, annotator, term.7 AS label, term.1 AS metric,
        term.2 AS numerator,
        term.3 AS denominator,
        numerator / nullIf(denominator, 0) AS value,
        term.4 / nullIf(term.5, 0) AS coverage,
        -- No trials, or a numerator above its denominator: it is no share, and has no interval.
        if(term.6 > 0 AND denominator > 0 AND numerator <= denominator, term.6, NULL) AS trials
    FROM
    (
        SELECT
            bucket_at, app, environment, user, operation, surface, language, provider, model, prompt_name,
            prompt_version, context_strategy, step, experiment, variant, toolset,
            evaluation, annotator,
            -- Cohen's kappa: (observed - expected agreement) / (1 - expected), both multiplied by pairs².
            arraySum(arrayMap((label, count) -> count * by_human.2[indexOf(by_human.1, label)], by_judge.1, by_judge.2))
                AS expected,
            arrayJoin(arrayConcat(
                [
                    share('judge_agreement', '', agreed, pairs, pairs),
                    share('judge_kappa', '', toFloat64(agreed * pairs) - expected,
                        toFloat64(pairs * pairs) - expected, 0)
                ],
                arrayMap((label, count) -> share('judge_precision', label, by_both.2[indexOf(by_both.1, label)], count,
                    count), by_judge.1, by_judge.2),
                arrayMap((label, count) -> share('judge_recall', label, by_both.2[indexOf(by_both.1, label)], count,
                    count), by_human.1, by_human.2)
            )) AS term
        FROM
        (
            SELECT
                bucket_at, app, environment, user, operation, surface, language, provider, model, prompt_name,
                prompt_version, context_strategy, step, experiment, variant, toolset,
                p.pair.1 AS evaluation, p.pair.2 AS annotator,
                count() AS judged,
                countIf(p.pair.4 != '') AS pairs,
                countIf(p.pair.3 = p.pair.4) AS agreed,
                sumMapIf([p.pair.3], [toUInt64(1)], p.pair.4 != '') AS by_judge,
                sumMapIf([p.pair.4], [toUInt64(1)], p.pair.4 != '') AS by_human,
                sumMapIf([p.pair.3], [toUInt64(1)], p.pair.3 = p.pair.4) AS by_both
            FROM
            (
                WITH
                    e -> if(e.label != '', e.label, if(e.has_value = 1, toString(e.value), '')) AS label_of,
                    arrayReverseSort(arrayFilter(
                        e -> e.annotator_kind = 'human' AND e.label != 'withdrawn', mapValues(c.evaluations)))
                        AS latest_first
                SELECT
                    c.*,
                    arrayJoin(arrayMap(
                        e -> tuple(e.name, e.annotator, label_of(e),
                            label_of(arrayFirst(h -> h.name = e.name, latest_first))),
                        arrayFilter(e -> e.annotator_kind = 'llm', mapValues(c.evaluations)))) AS pair
                FROM reference_cohort(by={by:Array(String)}, only={only:Map(String, Array(String))},
                    since={since:DateTime64(3, 'UTC')}, until={until:DateTime64(3, 'UTC')},
                    bucket_s={bucket_s:UInt32}) AS c
                WHERE NOT c.orphan
            ) AS p
            GROUP BY ALL
        )
    )
)
