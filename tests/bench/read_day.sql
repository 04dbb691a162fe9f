-- The suggestions of one day as those of an earlier one, {days} days before, made by another version of the prompt.
SELECT * REPLACE (
    -- In memory, the half with the time comes first.
    reinterpretAsUUID(bitOr(
        bitShiftLeft(toUInt128(bitAnd(toUInt128(generation_id), 0xFFFFFFFFFFFFFFFF)), 64),
        toUInt128(toUInt64(bitShiftRight(toUInt128(generation_id), 64)) - bitShiftLeft(toUInt64({days} * 86400000), 16))
    )) AS generation_id,
    cohort_ms - {days} * 86400000 AS cohort_ms,
    cohort_at - toIntervalDay({days}) AS cohort_at,
    toUInt32(hour - {days} * 24) AS hour,
    first_shown_at - toIntervalDay({days}) AS first_shown_at,
    last_shown_at - toIntervalDay({days}) AS last_shown_at,
    first_accepted_at - toIntervalDay({days}) AS first_accepted_at,
    last_accepted_at - toIntervalDay({days}) AS last_accepted_at,
    retention_from - toIntervalDay({days}) AS retention_from,
    toUInt32(if(accept_hour = 0, 0, accept_hour - {days} * 24)) AS accept_hour,
    arrayMap(h -> toUInt32(h - {days} * 24), shown_hours) AS shown_hours,
    arrayMap(h -> toUInt32(h - {days} * 24), any_hours) AS any_hours,
    concat('v', toString(intDiv({days}, 20))) AS prompt_version
)
-- Within, because outside the names are those of what replaces the columns.
FROM
(
    SELECT * FROM suggestions FINAL
    WHERE hour BETWEEN {first_hour} AND {last_hour} AND cohort_ms > {after_ms} AND cohort_ms <= {until_ms}
)
