-- One row per suggestion: the merged outcome, unpacked, with the flags that METRICS derives from it.
-- Text that is not known is ''; a number or time that is not known is NULL; counts of flags are Bool.
CREATE OR REPLACE VIEW reference_unpacked AS
WITH
    ms -> if(ms > 0, fromUnixTimestamp64Milli(ms, 'UTC'), NULL) AS time_of,
    number -> if(number < 0, NULL, number) AS known,
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
    -- Only the last accept has retention checks; those made on another branch say nothing of this one.
    check -> check.event_id != '' AND check.accept_seq = o.accept.accept_seq AND check.status != 'unobserved'
        AND check.branch_changed = 0 AS is_valid,
    arraySort(check -> check.elapsed_ms, arrayFilter(check -> is_valid(check), [
        o.retention['commit'], o.retention['branch_change'], o.retention['close'], o.retention['36000']
    ])) AS long_term_checks,
    long_term_checks[1] AS long_term
SELECT
    o.app AS app,
    o.generation_id AS generation_id,
    o.choice_index AS choice_index,
    o.generation.event_id = '' AS orphan,
    time_of(o.generation.occurred_at) AS generated_at,
    -- An orphan is dated by its first feedback, because its generation has no date yet.
    if(orphan, time_of(arrayMin(arrayConcat(
        mapValues(o.first_at),
        arrayMap(v -> v.occurred_at, mapValues(o.votes)),
        arrayMap(f -> f.occurred_at, mapValues(o.flags)),
        arrayMap(c -> c.occurred_at, mapValues(o.corrections)),
        arrayMap(r -> r.occurred_at, mapValues(o.retention)),
        arrayMap(e -> e.occurred_at, mapValues(o.evaluations))
    ))), generated_at) AS cohort_at,
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
    if(o.tools.event_id = o.generation.event_id, o.tools.toolset, '') AS toolset,
    o.generation.outcome AS outcome,
    o.generation.finish_reason AS finish_reason,
    o.generation.error_type AS error_type,
    o.generation.trace_id AS trace_id,
    if(orphan, NULL, known(o.generation.input_tokens)) AS input_tokens,
    if(orphan, NULL, known(o.generation.output_tokens)) AS output_tokens,
    if(orphan, NULL, known(o.generation.cost_usd)) AS cost_usd,
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
    o.accept.accept_seq AS accept_seq,
    o.accept.mode AS accept_mode,
    time_of(o.last_at['undo']) AS last_undone_at,
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
    end_reason = 'rejected' AS rejected,
    end_reason = 'ignored' AS ignored,
    end_reason = 'superseded' AS superseded,
    end_reason = 'unanswered' AS unanswered,
    last_taken_ms > 0 AND o.last_at['undo'] >= last_taken_ms AS undone,
    taken OR automatic OR mapContains(o.first_at, 'insert') OR mapContains(o.first_at, 'copy')
        OR mapContains(o.first_at, 'apply') AS used,
    notEmpty(mapFilter((who, c) -> c.origin != 'expert', o.corrections)) AS corrected,
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
    o.first_at AS first_at,
    o.last_at AS last_at,
    o.votes AS votes,
    o.flags AS flags,
    mapFilter((who, c) -> c.origin != 'expert', o.corrections) AS corrections,
    o.retention AS retention,
    o.evaluations AS evaluations
-- Whole tuples first: a subcolumn that is read under FINAL is merged as a column of its own, not as part of its register.
FROM (SELECT * FROM outcomes FINAL) AS o
