-- Generations by the latest state of their votes, flags, corrections and actions.
-- Choices count where they are. Of the whole generation, over all of its choices and with choice 0, count its votes,
-- flags, corrections and actions: a vote on another choice by the same user replaces the earlier one.
CREATE OR REPLACE VIEW reference_feedback_counts AS
SELECT
    bucket_at, app, environment, user, operation, surface, language, provider, model, prompt_name, prompt_version,
    context_strategy, step, experiment, variant, toolset,
    sum(g.displayed) AS shown,
    sum(g.accepted) AS accepted,
    countIf(notEmpty(g.active_votes)) AS voted,
    sum(countEqual(g.active_votes, 1)) AS votes_positive,
    sum(countEqual(g.active_votes, -1)) AS votes_negative,
    countIf(notEmpty(g.labels)) AS flagged,
    sumMap(g.labels, arrayMap(label -> toUInt64(1), g.labels)) AS flagged_by_label,
    countIf(g.corrections > 0) AS corrected,
    sum(g.corrections) AS corrections,
    sum(g.distances_known) AS correction_distances_known,
    sum(g.distance_sum) AS correction_distance_sum,
    sumMap(g.actions, arrayMap(action -> toUInt64(1), g.actions)) AS generations_by_action,
    countIf(g.negative_flag OR has(g.active_votes, -1)) AS negative
FROM
(
    SELECT
        bucket_at, app, environment, user, operation, surface, language, provider, model, prompt_name, prompt_version,
        context_strategy, step, experiment, variant, toolset,
        c.choice_index = 0 AS is_first, c.displayed AS displayed, c.accepted AS accepted,
        if(is_first, w.active_votes, []) AS active_votes, if(is_first, w.labels, []) AS labels,
        is_first AND w.negative_flag AS negative_flag, if(is_first, w.corrections, 0) AS corrections,
        if(is_first, w.distances_known, 0) AS distances_known, if(is_first, w.distance_sum, 0.) AS distance_sum,
        if(is_first, w.actions, []) AS actions
    FROM reference_cohort(by={by:Array(String)}, only={only:Map(String, Array(String))}, since={since:DateTime64(3, 'UTC')},
        until={until:DateTime64(3, 'UTC')}, bucket_s={bucket_s:UInt32}) AS c
    INNER JOIN
    (
        SELECT
            app, generation_id,
            -- A vote of 0 with no score behind it was withdrawn.
            arrayMap(v -> v.value, arrayFilter(v -> v.value != 0 OR v.score >= 0, mapValues(maxMap(s.votes))))
                AS active_votes,
            arraySort(groupUniqArrayArray(arrayMap(f -> f.label, arrayFilter(f -> f.active = 1, mapValues(s.flags)))))
                AS labels,
            max(arrayExists(f -> f.active = 1 AND f.valence = 'negative', mapValues(s.flags))) AS negative_flag,
            sum(length(s.corrections)) AS corrections,
            sum(arrayCount(e -> e.distance >= 0, mapValues(s.corrections))) AS distances_known,
            sum(arraySum(e -> if(e.distance > 0, e.distance / greatest(e.original_length, e.corrected_length), 0.),
                mapValues(s.corrections))) AS distance_sum,
            arraySort(groupUniqArrayArray(mapKeys(s.first_at))) AS actions
        FROM reference_suggestions AS s
        WHERE NOT s.orphan
        GROUP BY app, generation_id
    ) AS w ON c.source_app = w.app AND c.generation_id = w.generation_id
    WHERE NOT c.orphan
) AS g
GROUP BY ALL
HAVING countIf(is_first) > 0 OR shown > 0
