-- One row per rate; `label` holds the flag's label or the action where the rate has one, else ''.
CREATE OR REPLACE VIEW reference_feedback_rates AS
WITH
    (name, label, k, n, covered, whole) -> tuple(name, toFloat64(k), toFloat64(n), toFloat64(covered), toFloat64(whole),
        toFloat64(n), label) AS share,
    -- Wilson's interval at 95 %: z = 1.959963984540054, z² = 3.841458820694124.
    (value + 1.920729410347062 / trials) / (1 + 3.841458820694124 / trials) AS centre,
    1.959963984540054 / (1 + 3.841458820694124 / trials)
        * sqrt(value * (1 - value) / trials + 0.960364705173531 / pow(trials, 2)) AS half_width
SELECT
    bucket_at, app, environment, user, operation, surface, language, provider, model, prompt_name, prompt_version,
    context_strategy, step, experiment, variant, toolset,
    label, metric, numerator, denominator, value, coverage,
    -- The bounds are held around the value, because rounding may push them past 0 or 1.
    if(trials IS NULL, NULL, least(value, greatest(0, centre - half_width))) AS interval_low,
    if(trials IS NULL, NULL, greatest(value, least(1, centre + half_width))) AS interval_high
FROM
(
    SELECT
        bucket_at, app, environment, user, operation, surface, language, provider, model, prompt_name, prompt_version,
        context_strategy, step, experiment, variant, toolset,
        term.7 AS label, term.1 AS metric,
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
            arrayJoin(arrayConcat(
                [
                    share('vote_rate', '', voted, shown, shown, shown),
                    share('positive_vote_share', '', votes_positive, votes_positive + votes_negative, voted, shown),
                    share('flag_rate', '', flagged, shown, shown, shown),
                    share('correction_rate', '', corrected, accepted, accepted, accepted),
                    share('correction_rate_shown', '', corrected, shown, shown, shown),
                    share('correction_distance', '', correction_distance_sum, correction_distances_known,
                        correction_distances_known, corrections),
                    share('negative_feedback_rate', '', negative, shown, shown, shown)
                ],
                arrayMap((label, count) -> share('flag_rate', label, count, shown, shown, shown),
                    flagged_by_label.1, flagged_by_label.2),
                arrayMap((action, count) -> share('action_rate', action, count, shown, shown, shown),
                    generations_by_action.1, generations_by_action.2)
            )) AS term
        FROM reference_feedback_counts(by={by:Array(String)}, only={only:Map(String, Array(String))},
            since={since:DateTime64(3, 'UTC')}, until={until:DateTime64(3, 'UTC')}, bucket_s={bucket_s:UInt32})
    )
)
