-- Counts of windows that began in [since, until), cut into buckets, by segment, over all partitions. bucket_s = 0: one
-- bucket. A segment that reads 'other' everywhere holds those for which a record had no room. Amounts are summed as
-- floating point: those of an app that says the most it may would overflow 64 bits.
CREATE OR REPLACE VIEW window_counts AS
SELECT
    if({bucket_s:UInt32} = 0, toDateTime({since:DateTime64(3, 'UTC')}, 'UTC'),
        toStartOfInterval(w.window_at, toIntervalSecond(greatest({bucket_s:UInt32}, 1)), 'UTC')) AS bucket_at,
    w.app AS app, s.environment AS environment, s.surface AS surface, s.model AS model,
    s.prompt_name AS prompt_name, s.prompt_version AS prompt_version, s.language AS language,
    sum(s.opportunities) AS opportunities, sum(s.generations_ok) AS generations_ok,
    sum(s.generations_error) AS generations_error, sum(s.generations_timeout) AS generations_timeout,
    sum(s.generations_refused) AS generations_refused, sum(s.generations_cancelled) AS generations_cancelled,
    sum(toFloat64(s.input_tokens)) AS input_tokens, sum(toFloat64(s.output_tokens)) AS output_tokens, sum(s.cost_known) AS cost_known,
    sum(toFloat64(s.cost_nano_usd)) AS cost_nano_usd, sum(s.latency_known) AS latency_known, sum(toFloat64(s.latency_ms)) AS latency_ms,
    sum(s.latency_le_250_ms) AS latency_le_250_ms, sum(s.latency_le_500_ms) AS latency_le_500_ms,
    sum(s.latency_le_1000_ms) AS latency_le_1000_ms, sum(s.latency_le_2000_ms) AS latency_le_2000_ms,
    sum(s.latency_le_3000_ms) AS latency_le_3000_ms, sum(s.latency_le_5000_ms) AS latency_le_5000_ms,
    sum(s.latency_le_8000_ms) AS latency_le_8000_ms, sum(s.latency_le_13000_ms) AS latency_le_13000_ms,
    sum(s.latency_le_21000_ms) AS latency_le_21000_ms, sum(s.latency_le_34000_ms) AS latency_le_34000_ms,
    sum(s.latency_le_60000_ms) AS latency_le_60000_ms, sum(s.latency_over) AS latency_over,
    sum(s.first_token_known) AS first_token_known, sum(toFloat64(s.first_token_ms)) AS first_token_ms,
    sum(s.first_token_le_250_ms) AS first_token_le_250_ms, sum(s.first_token_le_500_ms) AS first_token_le_500_ms,
    sum(s.first_token_le_1000_ms) AS first_token_le_1000_ms,
    sum(s.first_token_le_2000_ms) AS first_token_le_2000_ms,
    sum(s.first_token_le_3000_ms) AS first_token_le_3000_ms,
    sum(s.first_token_le_5000_ms) AS first_token_le_5000_ms,
    sum(s.first_token_le_8000_ms) AS first_token_le_8000_ms,
    sum(s.first_token_le_13000_ms) AS first_token_le_13000_ms,
    sum(s.first_token_le_21000_ms) AS first_token_le_21000_ms,
    sum(s.first_token_le_34000_ms) AS first_token_le_34000_ms,
    sum(s.first_token_le_60000_ms) AS first_token_le_60000_ms, sum(s.first_token_over) AS first_token_over,
    sum(s.orphans) AS orphans, sum(s.shown_after_days) AS shown_after_days,
    sum(s.accepted_after_days) AS accepted_after_days, sum(s.voted) AS voted,
    sum(s.votes_positive) AS votes_positive, sum(s.votes_negative) AS votes_negative, sum(s.flagged) AS flagged,
    sum(s.negative) AS negative, sum(s.corrected) AS corrected, sum(s.corrections) AS corrections,
    sum(s.correction_distances_known) AS correction_distances_known,
    sum(toFloat64(s.correction_distance_micro)) AS correction_distance_micro, sum(s.shown) AS shown,
    sum(s.shown_read) AS shown_read, sum(s.accepted) AS accepted, sum(s.accepted_full) AS accepted_full,
    sum(s.accepted_in_time) AS accepted_in_time, sum(s.auto_applied) AS auto_applied, sum(s.rejected) AS rejected,
    sum(s.ignored) AS ignored, sum(s.superseded) AS superseded, sum(s.unanswered) AS unanswered,
    sum(s.undone) AS undone, sum(s.orphan_accept) AS orphan_accept, sum(s.used) AS used,
    sum(s.used_checked) AS used_checked, sum(s.touchless) AS touchless,
    sum(s.accepted_length_known) AS accepted_length_known, sum(toFloat64(s.accepted_char)) AS accepted_char,
    sum(s.shown_read_length_known) AS shown_read_length_known, sum(toFloat64(s.shown_read_char)) AS shown_read_char,
    sum(toFloat64(s.accepted_full_shown_char)) AS accepted_full_shown_char, sum(s.shown_lines_known) AS shown_lines_known,
    sum(toFloat64(s.lines_suggested)) AS lines_suggested, sum(toFloat64(s.lines_accepted)) AS lines_accepted,
    sum(s.retainable) AS retainable, sum(s.zero_length) AS zero_length,
    sumMap(s.flags.name, s.flags.count) AS flagged_by_label,
    sumMap(s.actions.name, s.actions.count) AS suggestions_by_action
FROM (SELECT * FROM windows FINAL) AS w
ARRAY JOIN w.segments AS s
WHERE w.window_at >= {since:DateTime64(3, 'UTC')} AND w.window_at < {until:DateTime64(3, 'UTC')}
GROUP BY ALL
