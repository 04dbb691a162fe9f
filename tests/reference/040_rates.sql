-- One row per rate, with numerator, denominator, coverage and interval; NULL where the denominator is 0.
CREATE OR REPLACE VIEW reference_rates AS
WITH
    -- A share of counts: its trials are its denominator.
    (name, k, n, covered, whole) -> tuple(name, toFloat64(k), toFloat64(n), toFloat64(covered), toFloat64(whole),
        toFloat64(n)) AS share,
    -- A share weighted by length: Kish's effective number of trials, (sum w)² / sum w².
    (name, k, n, squares, covered, whole) -> tuple(name, toFloat64(k), toFloat64(n), toFloat64(covered),
        toFloat64(whole), if(squares > 0, pow(n, 2) / squares, 0.)) AS weighted,
    -- A quotient that is no share has no interval.
    (name, k, n, covered, whole) -> tuple(name, toFloat64(k), toFloat64(n), toFloat64(covered), toFloat64(whole), 0.)
        AS quotient,
    -- Wilson's interval at 95 %: z = 1.959963984540054, z² = 3.841458820694124.
    (value + 1.920729410347062 / trials) / (1 + 3.841458820694124 / trials) AS centre,
    1.959963984540054 / (1 + 3.841458820694124 / trials)
        * sqrt(value * (1 - value) / trials + 0.960364705173531 / pow(trials, 2)) AS half_width
SELECT
    bucket_at, app, environment, user, operation, surface, language, provider, model, prompt_name, prompt_version,
    context_strategy, step, experiment, variant, toolset,
    metric, numerator, denominator, value, coverage,
    -- The bounds are held around the value, because rounding may push them past 0 or 1.
    if(trials IS NULL, NULL, least(value, greatest(0, centre - half_width))) AS interval_low,
    if(trials IS NULL, NULL, greatest(value, least(1, centre + half_width))) AS interval_high
FROM
(
    SELECT
        bucket_at, app, environment, user, operation, surface, language, provider, model, prompt_name, prompt_version,
        context_strategy, step, experiment, variant, toolset,
        term.1 AS metric,
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
            arrayJoin([
                share('shown_rate', shown, opportunities, opportunities_settled, opportunities),
                share('acceptance_rate', accepted, shown, shown_settled, shown),
                share('car', accepted_full, shown_read, shown_settled, shown),
                weighted('wcar', accepted_full_shown_char, shown_read_char, shown_read_char_squares,
                    shown_read_length_known, shown_read),
                share('efficiency', accepted, opportunities, opportunities_settled, opportunities),
                share('partial_accept_share', accepted - accepted_full, accepted, accepted, accepted),
                quotient('acceptance_frequency', accepted, active_hours, shown_user_known, shown),
                quotient('contribution_speed', accepted_char, active_hours, accepted_length_known, accepted),
                quotient('loquaciousness', shown, active_hours, shown_user_known, shown),
                quotient('cpo', accepted_char, opportunities, accepted_length_known, accepted),
                weighted('line_acceptance_rate', lines_accepted, lines_suggested, lines_suggested_squares,
                    shown_lines_known, shown),
                quotient('dcpu', accepted, user_days, shown_user_known, shown),
                share('touchless_rate', touchless, used, used_checked, used),
                quotient('cost_per_accepted', cost_usd, if(cost_known > 0, accepted, 0), cost_known, opportunities),
                weighted('commit_retention', long_term_retained_char, long_term_inserted_char,
                    long_term_inserted_char_squares, long_term_known, retainable),
                weighted('ai_share', long_term_model_char, long_term_total_char, long_term_total_char_squares,
                    long_term_total_known, retainable)
            ]) AS term
        FROM reference_funnel(by={by:Array(String)}, only={only:Map(String, Array(String))}, since={since:DateTime64(3, 'UTC')},
            until={until:DateTime64(3, 'UTC')}, bucket_s={bucket_s:UInt32}, as_of={as_of:DateTime64(3, 'UTC')},
            settle_s={settle_s:UInt32})
    )
)
