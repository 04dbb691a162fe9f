-- Counts per horizon, bucket and segment; horizons = []: those that each app's checks have. One row of the
-- inner query is one suggestion at one horizon, in one state.
CREATE OR REPLACE VIEW reference_retention AS
WITH
    horizons AS
    (
        SELECT source_app, arrayJoin(if(notEmpty({horizons:Array(UInt64)}), {horizons:Array(UInt64)},
            groupUniqArrayArray(arrayFilter(h -> h > 0, arrayMap(key -> toUInt64OrZero(key), mapKeys(retention))))
        )) AS horizon_s
        FROM reference_cohort(by=[], only={only:Map(String, Array(String))}, since={since:DateTime64(3, 'UTC')},
            until={until:DateTime64(3, 'UTC')}, bucket_s=0)
        WHERE NOT orphan
        GROUP BY source_app
    ),
    toUnixTimestamp64Milli({as_of:DateTime64(3, 'UTC')}) AS as_of_ms
SELECT
    bucket_at, app, environment, user, operation, surface, language, provider, model, prompt_name, prompt_version,
    context_strategy, step, experiment, variant, toolset,
    horizon_s,
    countIf(s.choice_index = 0 AND s.generation_matured) AS opportunities,
    uniqExactArrayIf(
        arrayMap(t -> (s.source_user, intDiv(t, 3600000)), s.shown_times), s.shown AND s.generation_matured
    ) AS active_hours,
    sumIf(coalesce(s.cost_usd, 0), s.choice_index = 0 AND s.generation_matured) AS cost_usd,
    countIf(s.choice_index = 0 AND s.generation_matured AND s.cost_usd IS NOT NULL) AS cost_known,
    countIf(s.at_risk) AS accepted,
    countIf(s.observed) AS observed,
    countIf(s.state = 'unchanged') AS unchanged,
    countIf(s.state IN ('unchanged', 'mostly')) AS mostly,
    observed - mostly AS substantially_changed,
    countIf(s.state = 'removed') AS removed,
    countIf(s.state = 'unobserved') AS unobserved,
    countIf(s.state = 'missing') AS missing,
    countIf(s.state = 'late') AS late,
    countIf(s.state = 'maturing') AS maturing,
    countIf(s.state = 'branch_changed') AS branch_changed,
    countIf(s.zero_length) AS zero_length,
    countIf(s.observed AND s.lexeme_ratio IS NOT NULL) AS lexemes_known,
    countIf(s.observed AND s.lexeme_ratio <= 0.5) AS still_in_code,
    -- Where no client sends a measure, what a removal implies for it must not stand alone.
    countIf(s.observed AND s.check.four_gram >= 0) AS four_gram_sent,
    countIf(s.observed AND s.four_gram IS NOT NULL) AS four_gram_known,
    sumIf(coalesce(s.four_gram, 0) * s.weight, s.observed AND s.four_gram IS NOT NULL) AS four_gram_char,
    sumIf(s.weight, s.observed AND s.four_gram IS NOT NULL) AS four_gram_weight,
    sumIf(pow(s.weight, 2), s.observed AND s.four_gram IS NOT NULL) AS four_gram_squares,
    countIf(s.observed AND s.no_revert IS NOT NULL) AS no_revert_known,
    sumIf(coalesce(s.no_revert, 0) * s.weight, s.observed AND s.no_revert IS NOT NULL) AS no_revert_char,
    sumIf(s.weight, s.observed AND s.no_revert IS NOT NULL) AS no_revert_weight,
    sumIf(pow(s.weight, 2), s.observed AND s.no_revert IS NOT NULL) AS no_revert_squares,
    countIf(s.observed AND s.check.retained_length >= 0 AND s.check.event_id != '') AS retained_char_sent,
    countIf(s.observed AND s.retained_char IS NOT NULL) AS retained_char_known,
    sumIf(toFloat64(coalesce(s.retained_char, 0)), s.observed AND s.retained_char IS NOT NULL) AS retained_char,
    sumIf(s.weight, s.observed AND s.retained_char IS NOT NULL) AS retained_char_weight,
    sumIf(pow(s.weight, 2), s.observed AND s.retained_char IS NOT NULL) AS retained_char_squares,
    countIf(s.observed AND s.modification IS NOT NULL) AS modification_known,
    sumIf(coalesce(s.modification, 0), s.observed AND s.modification IS NOT NULL) AS modification_sum,
    countIf(s.observed AND s.total_char IS NOT NULL) AS total_char_known,
    sumIf(toFloat64(coalesce(s.retained_char, 0)), s.observed AND s.total_char IS NOT NULL) AS model_char,
    sumIf(toFloat64(coalesce(s.total_char, 0)), s.observed AND s.total_char IS NOT NULL) AS total_char,
    sumIf(pow(toFloat64(coalesce(s.total_char, 0)), 2), s.observed AND s.total_char IS NOT NULL) AS total_char_squares
FROM
(
    SELECT
        m.*,
        m.state IN ('unchanged', 'mostly', 'changed', 'removed') AS observed,
        m.state IN ('unchanged', 'mostly', 'changed', 'removed', 'missing', 'unobserved', 'late') AS at_risk,
        toFloat64(greatest(0, if(m.check.original_length >= 0, m.check.original_length, coalesce(m.accepted_length, 0))))
            AS weight,
        multiIf(m.check.original_lexemes <= 0, NULL, m.state = 'removed', 1., m.check.lexeme_distance < 0, NULL,
            m.check.lexeme_distance / m.check.original_lexemes) AS lexeme_ratio,
        multiIf(m.check.four_gram >= 0, m.check.four_gram, m.state = 'removed', 0., NULL) AS four_gram,
        if(m.check.no_revert >= 0, m.check.no_revert, NULL) AS no_revert,
        multiIf(m.state = 'removed', 0., m.check.retained_length >= 0, toFloat64(m.check.retained_length),
            m.state = 'unchanged', toFloat64(m.check.current_length), NULL) AS retained_char,
        multiIf(m.state = 'removed', 1., m.check.original_length > 0,
            least(1., m.check.distance / m.check.original_length), NULL) AS modification,
        if(m.check.total_length >= 0 AND retained_char IS NOT NULL, toFloat64(m.check.total_length), NULL) AS total_char
    FROM
    (
        SELECT
            r.*,
            multiIf(
                NOT r.retainable, 'none',
                as_of_ms - toUnixTimestamp64Milli(assumeNotNull(r.retention_from)) < r.maturity_ms, 'maturing',
                r.check.event_id = '' OR r.check.accept_seq != r.accept_seq, 'missing',
                r.check.branch_changed = 1, 'branch_changed',
                r.check.status = 'unobserved', 'unobserved',
                r.check.elapsed_ms > r.horizon_ms + r.tolerance_ms, 'late',
                r.check.status = 'removed', 'removed',
                r.check.distance = 0, 'unchanged',
                -- distance / max(lengths) < 0.33 in whole numbers, so that no rounding moves the boundary.
                100 * r.check.distance < 33 * greatest(r.check.original_length, r.check.current_length), 'mostly',
                'changed') AS state
        FROM
        (
            SELECT
                c.* EXCEPT (votes, flags, corrections, evaluations, retention),
                h.horizon_s AS horizon_s,
                toInt64(h.horizon_s) * 1000 AS horizon_ms,
                -- A check may come this much after its horizon and still count for it.
                greatest(15000, intDiv(horizon_ms, 10)) AS tolerance_ms,
                horizon_ms + greatest(toInt64({grace_s:UInt32}) * 1000, tolerance_ms) AS maturity_ms,
                as_of_ms - toUnixTimestamp64Milli(assumeNotNull(c.generated_at)) >= maturity_ms AS generation_matured,
                arrayDistinct(arrayFilter(t -> t > 0, if(mapContains(c.first_at, 'shown'),
                    [c.first_at['shown'], c.last_at['shown']],
                    [c.first_at['accept'], c.first_at['accept_partial']]))) AS shown_times,
                c.retention[toString(h.horizon_s)] AS check,
                (c.accepted OR c.auto_applied) AND NOT c.retainable AS zero_length
            FROM reference_cohort(by={by:Array(String)}, only={only:Map(String, Array(String))},
                since={since:DateTime64(3, 'UTC')}, until={until:DateTime64(3, 'UTC')},
                bucket_s={bucket_s:UInt32}) AS c
            INNER JOIN horizons AS h ON c.source_app = h.source_app
            WHERE NOT c.orphan
        ) AS r
    ) AS m
) AS s
GROUP BY ALL
