-- What one suggestion comes to, from its merged outcome: the one place where METRICS' words become columns.
-- The generations of the source must be whole: what counts once for a generation (votes, flags,
-- corrections, actions) is taken over all of its choices, and stands with choice 0.
-- Text that is not known is ''; a number or time that is not known is NULL.
WITH
    ms -> if(ms > 0, fromUnixTimestamp64Milli(ms, 'UTC'), NULL) AS time_of,
    number -> if(number < 0, NULL, number) AS known,
    share -> toDecimal64(share, 9) AS exact,
    mapContains(o.first_at, 'accept') OR mapContains(o.first_at, 'accept_partial') AS taken,
    mapContains(o.first_at, 'accept_auto') AND NOT taken AS automatic,
    -- An accept implies that the suggestion was shown. What is applied with no accept step is in no acceptance rate.
    mapContains(o.first_at, 'shown') OR taken AS was_displayed,
    was_displayed AND NOT automatic AS was_shown,
    greatest(o.last_at['accept'], o.last_at['accept_partial'], o.last_at['accept_auto']) AS last_taken_ms,
    -- The latest of the events that end a suggestion; of two at one time, the last in this list's order of names.
    arrayReverseSort([
        (o.last_at['reject'], 'rejected'), (o.last_at['dismiss'], 'rejected'),
        (o.last_at['ignore'], 'ignored'), (o.last_at['supersede'], 'superseded')
    ])[1] AS ended,
    if(mapContains(o.first_at, 'shown'), [o.first_at['shown'], o.last_at['shown']],
        [o.first_at['accept'], o.first_at['accept_partial']]) AS shown_ms,
    arrayConcat(
        [cohort_ms], mapValues(o.first_at), mapValues(o.last_at),
        arrayMap(v -> v.occurred_at, mapValues(o.votes)),
        arrayMap(f -> f.occurred_at, mapValues(o.flags)),
        arrayMap(c -> c.occurred_at, arrayFilter(c -> c.origin != 'expert', mapValues(o.corrections)))
    ) AS any_ms,
    times -> arrayDistinct(arrayMap(t -> toUInt32(intDiv(t, 3600000)), arrayFilter(t -> t > 0, times))) AS hours_of,
    -- Only the last accept has retention checks; those made on another branch say nothing of this one.
    check -> check.event_id != '' AND check.accept_seq = o.accept.accept_seq AND check.status != 'unobserved'
        AND check.branch_changed = 0 AS is_valid,
    arraySort(check -> check.elapsed_ms, arrayFilter(check -> is_valid(check), [
        o.retention['commit'], o.retention['branch_change'], o.retention['close'], o.retention['36000']
    ])) AS long_term_checks,
    long_term_checks[1] AS long_term,
    arraySort(arrayFilter(h -> h > 0, arrayMap(key -> toUInt32OrZero(key), mapKeys(o.retention)))) AS horizons,
    arrayMap(h -> o.retention[toString(h)], horizons) AS checks,
    arrayMap((h, check) -> multiIf(
        check.accept_seq != o.accept.accept_seq, 'missing',
        check.branch_changed = 1, 'branch_changed',
        check.status = 'unobserved', 'unobserved',
        -- A check may come this much after its horizon and still count for it.
        check.elapsed_ms > toInt64(h) * 1000 + greatest(15000, toInt64(h) * 100), 'late',
        check.status = 'removed', 'removed',
        check.distance = 0, 'unchanged',
        -- distance / max(lengths) < 0.33 in whole numbers, so that no rounding moves the boundary.
        100 * check.distance < 33 * greatest(check.original_length, check.current_length), 'mostly',
        'changed'), horizons, checks) AS states,
    arrayMap((check, state) -> multiIf(state = 'removed', 0, check.retained_length >= 0, check.retained_length,
        state = 'unchanged', check.current_length, -1), checks, states) AS retained,
    e -> if(e.label != '', e.label, if(e.has_value = 1, toString(e.value), '')) AS label_of,
    -- A person who withdraws a word says nothing any more.
    arrayReverseSort(arrayFilter(e -> e.annotator_kind = 'human' AND e.label != 'withdrawn', mapValues(o.evaluations)))
        AS human_latest_first,
    arrayFilter(e -> e.annotator_kind = 'llm', mapValues(o.evaluations)) AS judgements,
    -- A vote of 0 with no score behind it was withdrawn.
    arrayMap(v -> v.value, arrayFilter(v -> v.value != 0 OR v.score >= 0, mapValues(o.generation_votes))) AS standing_votes
SELECT
    o.app AS app,
    o.generation_id AS generation_id,
    o.choice_index AS choice_index,
    toUnixTimestamp64Nano(now64(9)) AS derived_at,
    o.is_orphan AS orphan,
    -- An orphan is dated by its first feedback, because its generation has no date yet.
    if(orphan, arrayMin(arrayFilter(t -> t > 0, arrayConcat(
        mapValues(o.first_at),
        arrayMap(v -> v.occurred_at, mapValues(o.votes)),
        arrayMap(f -> f.occurred_at, mapValues(o.flags)),
        arrayMap(c -> c.occurred_at, mapValues(o.corrections)),
        arrayMap(r -> r.occurred_at, mapValues(o.retention)),
        arrayMap(e -> e.occurred_at, mapValues(o.evaluations))
    ))), o.generation.occurred_at) AS cohort_ms,
    fromUnixTimestamp64Milli(cohort_ms, 'UTC') AS cohort_at,
    intDiv(cohort_ms, 3600000) AS hour,
    o.generation.environment AS environment,
    if(o.generation.user != '', o.generation.user, o.generation.session) AS user,
    o.generation.session AS session,
    o.generation.operation AS operation,
    o.generation.surface AS surface,
    o.generation.language AS language,
    o.generation.trigger AS trigger,
    o.generation.provider AS provider,
    o.generation.model AS model,
    o.generation.prompt_name AS prompt_name,
    o.generation.prompt_version AS prompt_version,
    o.generation.context_strategy AS context_strategy,
    o.generation.step AS step,
    o.generation.parent_generation_id AS parent_generation_id,
    o.generation.experiment AS experiment,
    o.generation.variant AS variant,
    -- An older revision's tools are none of this one's.
    if(o.tools.event_id = o.generation.event_id, o.tools.toolset, '') AS toolset,
    o.generation.outcome AS outcome,
    o.generation.finish_reason AS finish_reason,
    o.generation.error_type AS error_type,
    o.generation.trace_id AS trace_id,
    if(orphan, NULL, known(o.generation.input_tokens)) AS input_tokens,
    if(orphan, NULL, known(o.generation.output_tokens)) AS output_tokens,
    if(orphan OR o.generation.cost_usd < 0, NULL, exact(least(o.generation.cost_usd, 999999999.))) AS cost_usd,
    if(orphan, NULL, known(o.generation.latency_ms)) AS latency_ms,
    if(orphan, NULL, known(o.generation.time_to_first_token_ms)) AS time_to_first_token_ms,
    o.generation.tools_offered AS tools_offered,
    o.generation.tools_called AS tools_called,
    time_of(o.first_at['shown']) AS first_shown_at,
    time_of(o.last_at['shown']) AS last_shown_at,
    time_of(if(automatic, o.first_at['accept_auto'], arrayMin(arrayFilter(
        t -> t > 0, [o.first_at['accept'], o.first_at['accept_partial']])))) AS first_accepted_at,
    time_of(last_taken_ms) AS last_accepted_at,
    -- Retention is measured from the accept with the highest accept_seq.
    time_of(o.accept.occurred_at) AS retention_from,
    toUInt32(intDiv(greatest(0, o.accept.occurred_at), 3600000)) AS accept_hour,
    o.accept.accept_seq AS accept_seq,
    o.accept.mode AS accept_mode,
    time_of(o.last_at['undo']) AS last_undone_at,
    hours_of(if(was_shown, shown_ms, [])) AS shown_hours,
    hours_of(any_ms) AS any_hours,
    known(o.shown_length) AS shown_length,
    known(o.shown_lines) AS shown_lines,
    known(o.dwell_ms) AS dwell_ms,
    known(o.accepted_length) AS accepted_length,
    known(o.accepted_lines) AS accepted_lines,
    was_displayed AS displayed,
    was_shown AS shown,
    was_shown AND (o.dwell_ms >= 750 OR taken) AS shown_read,
    taken AS accepted,
    mapContains(o.first_at, 'accept') AS accepted_full,
    automatic AS auto_applied,
    taken AND NOT mapContains(o.first_at, 'shown') AS orphan_accept,
    multiIf(NOT was_shown OR taken, '', ended.1 = 0, 'unanswered', ended.2) AS end_reason,
    NOT was_displayed AND NOT automatic AND ended.1 > 0 AS ended_unshown,
    last_taken_ms > 0 AND o.last_at['undo'] >= last_taken_ms AS undone,
    taken OR automatic OR mapContains(o.first_at, 'insert') OR mapContains(o.first_at, 'copy')
        OR mapContains(o.first_at, 'apply') AS used,
    arrayExists(c -> c.origin != 'expert', mapValues(o.corrections)) AS corrected,
    arrayExists(check -> is_valid(check), mapValues(o.retention)) AS checked,
    arrayExists(check -> is_valid(check) AND (check.status = 'removed' OR check.distance > 0), mapValues(o.retention))
        AS changed,
    used AND NOT corrected AND NOT undone AND NOT changed AS touchless,
    -- A zero-length accept has nothing to retain.
    (taken OR automatic) AND o.accepted_length != 0 AS retainable,
    if(retainable AND notEmpty(long_term_checks), coalesce(
        accepted_length, known(long_term.original_length)), NULL) AS long_term_inserted_char,
    if(long_term_inserted_char IS NULL, NULL, multiIf(
        long_term.status = 'removed', 0,
        long_term.retained_length >= 0, long_term.retained_length,
        long_term.distance = 0, long_term.current_length,
        NULL)) AS long_term_retained_char,
    if(long_term_retained_char IS NULL, NULL, known(long_term.total_length)) AS long_term_total_char,
    horizons AS `checks.horizon_s`,
    states AS `checks.state`,
    arrayMap(check -> greatest(0, if(check.original_length >= 0, check.original_length,
        coalesce(accepted_length, 0))), checks) AS `checks.weight`,
    arrayMap((check, state) -> multiIf(state = 'removed', 1, check.distance < 0, -1,
        check.distance / greatest(check.original_length, check.current_length, 1)), checks, states)
        AS `checks.distance_ratio`,
    arrayMap((check, state) -> multiIf(check.original_lexemes <= 0, -1, state = 'removed', 1, check.lexeme_distance < 0,
        -1, check.lexeme_distance / check.original_lexemes), checks, states) AS `checks.lexeme_ratio`,
    arrayMap(check -> check.four_gram >= 0, checks) AS `checks.four_gram_sent`,
    arrayMap((check, state) -> multiIf(check.four_gram >= 0, check.four_gram, state = 'removed', 0, -1), checks, states)
        AS `checks.four_gram`,
    arrayMap(check -> if(check.no_revert >= 0, check.no_revert, -1), checks) AS `checks.no_revert`,
    arrayMap(check -> check.retained_length >= 0, checks) AS `checks.retained_sent`,
    retained AS `checks.retained_char`,
    arrayMap((check, state) -> multiIf(state = 'removed', 1, check.original_length > 0,
        least(1, check.distance / check.original_length), -1), checks, states) AS `checks.modification`,
    arrayMap((check, kept) -> if(check.total_length >= 0 AND kept >= 0, check.total_length, -1), checks, retained)
        AS `checks.total_char`,
    notEmpty(standing_votes) AS voted,
    countEqual(standing_votes, 1) AS votes_positive,
    countEqual(standing_votes, -1) AS votes_negative,
    o.generation_labels AS flag_labels,
    o.generation_negative_flag OR has(standing_votes, -1) AS negative,
    o.generation_corrections AS corrections,
    o.generation_distances_known AS correction_distances_known,
    exact(o.generation_distance_sum) AS correction_distance_sum,
    o.generation_actions AS actions,
    arrayMap(e -> e.name, judgements) AS `judged.evaluation`,
    arrayMap(e -> e.annotator, judgements) AS `judged.annotator`,
    arrayMap(e -> label_of(e), judgements) AS `judged.label`,
    arrayMap(e -> label_of(arrayFirst(h -> h.name = e.name, human_latest_first)), judgements) AS `judged.truth`
FROM
(
    SELECT
        *,
        generation.event_id = '' AS is_orphan,
        NOT is_orphan AND choice_index = 0 AS is_first,
        mapFilter((who, vote) -> is_first, maxMap(mapFilter((who, vote) -> NOT is_orphan, votes)) OVER choices)
            AS generation_votes,
        arrayFilter(flag -> flag.active = 1 AND NOT is_orphan, mapValues(flags)) AS standing_flags,
        -- What an expert corrects in a review is no word of a user's.
        arrayFilter(correction -> NOT is_orphan AND correction.origin != 'expert', mapValues(corrections))
            AS its_corrections,
        if(is_first, arraySort(groupUniqArrayArray(arrayMap(flag -> flag.label, standing_flags)) OVER choices), [])
            AS generation_labels,
        is_first AND max(arrayExists(flag -> flag.valence = 'negative', standing_flags)) OVER choices
            AS generation_negative_flag,
        if(is_first, sum(length(its_corrections)) OVER choices, 0) AS generation_corrections,
        if(is_first, sum(arrayCount(c -> c.distance >= 0, its_corrections)) OVER choices, 0)
            AS generation_distances_known,
        if(is_first, sum(arraySum(c -> if(c.distance > 0,
            c.distance / greatest(c.original_length, c.corrected_length), 0.), its_corrections)) OVER choices, 0)
            AS generation_distance_sum,
        if(is_first, arraySort(groupUniqArrayArray(if(is_orphan, [], mapKeys(first_at))) OVER choices), [])
            AS generation_actions
    -- Whole tuples first: a subcolumn that is read under FINAL is merged as a column of its own, not as part of its
    -- register.
    FROM ({source})
    WINDOW choices AS (PARTITION BY app, generation_id)
) AS o
