-- Counts of distinct suggestions per bucket and segment. Orphans are counted, and in nothing else.
CREATE OR REPLACE VIEW reference_funnel AS
WITH
    {as_of:DateTime64(3, 'UTC')} - toIntervalSecond({settle_s:UInt32}) AS settled_before,
    times -> arrayDistinct(arrayMap(t -> intDiv(t, 3600000), arrayFilter(t -> t > 0, times))) AS hours_of,
    if(mapContains(c.first_at, 'shown'), [c.first_at['shown'], c.last_at['shown']],
        [c.first_at['accept'], c.first_at['accept_partial']]) AS shown_times,
    arrayConcat(
        [toUnixTimestamp64Milli(assumeNotNull(c.cohort_at))], mapValues(c.first_at), mapValues(c.last_at),
        arrayMap(v -> v.occurred_at, mapValues(c.votes)),
        arrayMap(f -> f.occurred_at, mapValues(c.flags)),
        arrayMap(e -> e.occurred_at, mapValues(c.corrections))
    ) AS any_times,
    NOT c.orphan AS joined,
    joined AND c.choice_index = 0 AS is_opportunity
SELECT
    bucket_at, app, environment, user, operation, surface, language, provider, model, prompt_name, prompt_version,
    context_strategy, step, experiment, variant, toolset,
    -- Every generation has a choice 0, so that counting those counts generations.
    countIf(is_opportunity) AS opportunities,
    countIf(is_opportunity AND c.generated_at <= settled_before) AS opportunities_settled,
    countIf(joined AND c.shown) AS shown,
    countIf(joined AND c.shown AND coalesce(c.first_shown_at, c.first_accepted_at) <= settled_before) AS shown_settled,
    countIf(joined AND c.shown AND c.source_user != '') AS shown_user_known,
    countIf(joined AND c.shown_read) AS shown_read,
    countIf(joined AND c.accepted) AS accepted,
    countIf(joined AND c.accepted_full) AS accepted_full,
    countIf(joined AND c.auto_applied) AS auto_applied,
    countIf(joined AND c.rejected) AS rejected,
    countIf(joined AND c.ignored) AS ignored,
    countIf(joined AND c.superseded) AS superseded,
    countIf(joined AND c.unanswered) AS unanswered,
    countIf(joined AND c.ended_unshown) AS ended_unshown,
    countIf(joined AND c.undone) AS undone,
    countIf(joined AND c.orphan_accept) AS orphan_accept,
    countIf(c.orphan) AS orphans,
    countIf(joined AND c.accepted AND c.accepted_length IS NOT NULL) AS accepted_length_known,
    sumIf(toFloat64(coalesce(c.accepted_length, 0)), joined AND c.accepted) AS accepted_char,
    countIf(joined AND c.shown_read AND c.shown_length IS NOT NULL) AS shown_read_length_known,
    sumIf(toFloat64(coalesce(c.shown_length, 0)), joined AND c.shown_read) AS shown_read_char,
    sumIf(pow(toFloat64(coalesce(c.shown_length, 0)), 2), joined AND c.shown_read) AS shown_read_char_squares,
    sumIf(toFloat64(coalesce(c.shown_length, 0)), joined AND c.accepted_full) AS accepted_full_shown_char,
    countIf(joined AND c.shown AND c.shown_lines IS NOT NULL) AS shown_lines_known,
    sumIf(toFloat64(coalesce(c.shown_lines, 0)), joined AND c.shown) AS lines_suggested,
    sumIf(pow(toFloat64(coalesce(c.shown_lines, 0)), 2), joined AND c.shown) AS lines_suggested_squares,
    sumIf(toFloat64(coalesce(c.accepted_lines, 0)), joined AND c.accepted) AS lines_accepted,
    uniqExactArrayIf(arrayMap(h -> (c.source_user, h), hours_of(shown_times)), joined AND c.shown) AS active_hours,
    uniqExactArrayIf(arrayMap(h -> (c.source_user, h), hours_of(any_times)), joined) AS active_hours_any,
    uniqExactArrayIf(arrayMap(h -> (c.source_user, intDiv(h, 24)), hours_of(shown_times)), joined AND c.shown)
        AS user_days,
    countIf(joined AND c.used) AS used,
    countIf(joined AND c.used AND c.checked) AS used_checked,
    countIf(joined AND c.touchless) AS touchless,
    countIf(is_opportunity AND c.cost_usd IS NOT NULL) AS cost_known,
    sumIf(coalesce(c.cost_usd, 0), is_opportunity) AS cost_usd,
    countIf(joined AND c.retainable) AS retainable,
    countIf(joined AND c.long_term_retained_char IS NOT NULL) AS long_term_known,
    sumIf(toFloat64(coalesce(c.long_term_retained_char, 0)), joined) AS long_term_retained_char,
    sumIf(toFloat64(coalesce(c.long_term_inserted_char, 0)), joined AND c.long_term_retained_char IS NOT NULL)
        AS long_term_inserted_char,
    sumIf(pow(toFloat64(coalesce(c.long_term_inserted_char, 0)), 2), joined AND c.long_term_retained_char IS NOT NULL)
        AS long_term_inserted_char_squares,
    countIf(joined AND c.long_term_total_char IS NOT NULL) AS long_term_total_known,
    sumIf(toFloat64(coalesce(c.long_term_retained_char, 0)), joined AND c.long_term_total_char IS NOT NULL)
        AS long_term_model_char,
    sumIf(toFloat64(coalesce(c.long_term_total_char, 0)), joined AND c.long_term_total_char IS NOT NULL)
        AS long_term_total_char,
    sumIf(pow(toFloat64(coalesce(c.long_term_total_char, 0)), 2), joined AND c.long_term_total_char IS NOT NULL)
        AS long_term_total_char_squares
FROM reference_cohort(by={by:Array(String)}, only={only:Map(String, Array(String))}, since={since:DateTime64(3, 'UTC')},
    until={until:DateTime64(3, 'UTC')}, bucket_s={bucket_s:UInt32}) AS c
GROUP BY ALL
