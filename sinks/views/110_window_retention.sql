-- Retention per horizon of what was accepted in windows that began in [since, until), by segment, over all partitions,
-- where the horizon and its grace have passed at as_of for the whole window. missing: no check came.
CREATE OR REPLACE VIEW window_retention AS
SELECT
    if({bucket_s:UInt32} = 0, toDateTime({since:DateTime64(3, 'UTC')}, 'UTC'),
        toStartOfInterval(r.window_at, toIntervalSecond(greatest({bucket_s:UInt32}, 1)), 'UTC')) AS bucket_at,
    r.app AS app, r.environment AS environment, r.surface AS surface, r.model AS model,
    r.prompt_name AS prompt_name, r.prompt_version AS prompt_version, r.language AS language,
    r.horizon_s AS horizon_s,
    sum(r.retainable) - sum(r.branch_changed) AS accepted,
    accepted - sum(r.observed) - sum(r.unobserved) - sum(r.late) AS missing,
    sum(r.observed) AS observed, sum(r.unchanged) AS unchanged, sum(r.mostly) AS mostly, sum(r.removed) AS removed,
    sum(r.unobserved) AS unobserved, sum(r.late) AS late, sum(r.branch_changed) AS branch_changed,
    sum(r.lexemes_known) AS lexemes_known, sum(r.still_in_code) AS still_in_code,
    sum(r.retained_char_known) AS retained_char_known, sum(toFloat64(r.retained_char)) AS retained_char,
    sum(toFloat64(r.retained_char_weight)) AS retained_char_weight, sum(r.edit_distance_le_0_pct) AS edit_distance_le_0_pct,
    sum(r.edit_distance_le_5_pct) AS edit_distance_le_5_pct,
    sum(r.edit_distance_le_10_pct) AS edit_distance_le_10_pct,
    sum(r.edit_distance_le_20_pct) AS edit_distance_le_20_pct,
    sum(r.edit_distance_le_33_pct) AS edit_distance_le_33_pct,
    sum(r.edit_distance_le_50_pct) AS edit_distance_le_50_pct,
    sum(r.edit_distance_le_75_pct) AS edit_distance_le_75_pct,
    sum(r.edit_distance_le_100_pct) AS edit_distance_le_100_pct
FROM
(
    -- One row per segment of a window in a partition and each horizon that the app has anywhere in the span.
    SELECT w.window_at AS window_at, w.app AS app, s.environment AS environment, s.surface AS surface, s.model AS model,
        s.prompt_name AS prompt_name, s.prompt_version AS prompt_version, s.language AS language,
        h.horizon_s AS horizon_s, s.retainable AS retainable,
        arrayFirst(c -> c.horizon_s = h.horizon_s, s.horizons) AS c,
        c.observed AS observed, c.unchanged AS unchanged, c.mostly AS mostly, c.removed AS removed,
        c.unobserved AS unobserved, c.late AS late, c.branch_changed AS branch_changed,
        c.lexemes_known AS lexemes_known, c.still_in_code AS still_in_code,
        c.retained_char_known AS retained_char_known, c.retained_char AS retained_char,
        c.retained_char_weight AS retained_char_weight, c.edit_distance_le_0_pct AS edit_distance_le_0_pct,
        c.edit_distance_le_5_pct AS edit_distance_le_5_pct, c.edit_distance_le_10_pct AS edit_distance_le_10_pct,
        c.edit_distance_le_20_pct AS edit_distance_le_20_pct, c.edit_distance_le_33_pct AS edit_distance_le_33_pct,
        c.edit_distance_le_50_pct AS edit_distance_le_50_pct, c.edit_distance_le_75_pct AS edit_distance_le_75_pct,
        c.edit_distance_le_100_pct AS edit_distance_le_100_pct
    FROM (SELECT * FROM windows FINAL) AS w
    ARRAY JOIN w.segments AS s
    INNER JOIN
    (
        SELECT DISTINCT app, arrayJoin(arrayDistinct(arrayFlatten(segments.horizons.horizon_s))) AS horizon_s
        FROM windows
        WHERE window_at >= {since:DateTime64(3, 'UTC')} AND window_at < {until:DateTime64(3, 'UTC')}
    ) AS h ON w.app = h.app
    WHERE w.window_at >= {since:DateTime64(3, 'UTC')} AND w.window_at < {until:DateTime64(3, 'UTC')}
        AND h.horizon_s > 0 AND s.retainable > 0
        AND w.window_at + toIntervalSecond(300 + h.horizon_s + greatest({grace_s:UInt32}, 15, intDiv(h.horizon_s, 10)))
            <= {as_of:DateTime64(3, 'UTC')}
) AS r
GROUP BY ALL
