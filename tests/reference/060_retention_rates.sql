-- One row per rate and horizon, with numerator, denominator, coverage and interval.
CREATE OR REPLACE VIEW reference_retention_rates AS
WITH
    (name, k, n, covered) -> tuple(name, toFloat64(k), toFloat64(n), toFloat64(covered), toFloat64(accepted),
        toFloat64(n)) AS share,
    (name, k, n, squares, covered) -> tuple(name, toFloat64(k), toFloat64(n), toFloat64(covered), toFloat64(accepted),
        if(squares > 0, pow(n, 2) / squares, 0.)) AS weighted,
    (name, k, n, covered) -> tuple(name, toFloat64(k), toFloat64(n), toFloat64(covered), toFloat64(accepted), 0.)
        AS quotient,
    -- Wilson's interval at 95 %: z = 1.959963984540054, z² = 3.841458820694124.
    (value + 1.920729410347062 / trials) / (1 + 3.841458820694124 / trials) AS centre,
    1.959963984540054 / (1 + 3.841458820694124 / trials)
        * sqrt(value * (1 - value) / trials + 0.960364705173531 / pow(trials, 2)) AS half_width
SELECT
    bucket_at, app, environment, user, operation, surface, language, provider, model, prompt_name, prompt_version,
    context_strategy, step, experiment, variant, toolset,
    horizon_s, metric, numerator, denominator, value, coverage,
    -- The bounds are held around the value, because rounding may push them past 0 or 1.
    if(trials IS NULL, NULL, least(value, greatest(0, centre - half_width))) AS interval_low,
    if(trials IS NULL, NULL, greatest(value, least(1, centre + half_width))) AS interval_high
FROM
(
    SELECT
        bucket_at, app, environment, user, operation, surface, language, provider, model, prompt_name, prompt_version,
        context_strategy, step, experiment, variant, toolset,
        horizon_s, term.1 AS metric,
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
            horizon_s,
            arrayJoin([
                share('retention_coverage', observed, accepted, observed),
                share('persistence_rate', unchanged, accepted, observed),
                share('fuzzy_persistence_paper', accepted - substantially_changed, accepted, observed),
                share('fuzzy_persistence_lower', mostly, accepted, observed),
                share('fuzzy_persistence_observed', mostly, observed, observed),
                share('persistence_observed', unchanged, observed, observed),
                share('efficiency', unchanged, opportunities, observed),
                quotient('persistence_frequency', unchanged, active_hours, observed),
                share('still_in_code', still_in_code, lexemes_known, lexemes_known),
                weighted('survival_four_gram', four_gram_char, if(four_gram_sent > 0, four_gram_weight, 0.),
                    four_gram_squares, four_gram_known),
                weighted('no_revert', no_revert_char, no_revert_weight, no_revert_squares, no_revert_known),
                quotient('arc', retained_char, if(retained_char_sent > 0, 1, 0), retained_char_known),
                weighted('arc_ratio', retained_char, if(retained_char_sent > 0, retained_char_weight, 0.),
                    retained_char_squares, retained_char_known),
                share('modification_pct', modification_sum, modification_known, modification_known),
                weighted('ai_share', model_char, total_char, total_char_squares, total_char_known),
                quotient('cost_per_retained', cost_usd, if(cost_known > 0, mostly, 0), observed)
            ]) AS term
        FROM reference_retention(by={by:Array(String)}, only={only:Map(String, Array(String))},
            since={since:DateTime64(3, 'UTC')}, until={until:DateTime64(3, 'UTC')}, bucket_s={bucket_s:UInt32},
            as_of={as_of:DateTime64(3, 'UTC')}, grace_s={grace_s:UInt32}, horizons={horizons:Array(UInt64)})
    )
)
