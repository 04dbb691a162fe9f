-- The pooled rates per user, then their mean and median over the users with a denominator: other names, because
-- they weigh users alike where the pooled rates weigh suggestions alike.
CREATE OR REPLACE VIEW reference_user_rates AS
SELECT
    bucket_at, app, environment, operation, surface, language, provider, model, prompt_name, prompt_version,
    context_strategy, step, experiment, variant, toolset,
    statistic.1 AS metric, statistic.2 AS value, users
FROM
(
    SELECT
        bucket_at, app, environment, operation, surface, language, provider, model, prompt_name, prompt_version,
        context_strategy, step, experiment, variant, toolset,
        metric AS rate, count(value) AS users,
        arrayJoin([
            (concat(rate, '_user_mean'), avg(value)),
            (concat(rate, '_user_p50'), quantileExactInclusive(0.5)(value))
        ]) AS statistic
    FROM reference_rates(by=arrayPushBack({by:Array(String)}, 'user'), only={only:Map(String, Array(String))},
        since={since:DateTime64(3, 'UTC')}, until={until:DateTime64(3, 'UTC')}, bucket_s={bucket_s:UInt32},
        as_of={as_of:DateTime64(3, 'UTC')}, settle_s={settle_s:UInt32})
    WHERE user != ''
    GROUP BY ALL
)
