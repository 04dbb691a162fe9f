-- The suggestions of generations that occurred in [since, until), cut into buckets and segments.
-- A dimension that is not in `by` reads '*'. `only` keeps the listed values of a dimension. bucket_s = 0: one bucket.
CREATE OR REPLACE VIEW reference_cohort AS
WITH
    {by:Array(String)} AS dimensions,
    {only:Map(String, Array(String))} AS chosen,
    toInt64({bucket_s:UInt32}) * 1000 AS bucket_ms
SELECT
    s.* EXCEPT (app, environment, user, operation, surface, language, provider, model, prompt_name, prompt_version,
        context_strategy, step, experiment, variant, toolset, toolset),
    s.app AS source_app,
    s.user AS source_user,
    if(bucket_ms = 0, {since:DateTime64(3, 'UTC')}, fromUnixTimestamp64Milli(
        intDiv(toUnixTimestamp64Milli(assumeNotNull(s.cohort_at)), bucket_ms) * bucket_ms, 'UTC')) AS bucket_at,
    if(has(dimensions, 'app'), s.app, '*') AS app,
    if(has(dimensions, 'environment'), s.environment, '*') AS environment,
    if(has(dimensions, 'user'), s.user, '*') AS user,
    if(has(dimensions, 'operation'), s.operation, '*') AS operation,
    if(has(dimensions, 'surface'), s.surface, '*') AS surface,
    if(has(dimensions, 'language'), s.language, '*') AS language,
    if(has(dimensions, 'provider'), s.provider, '*') AS provider,
    if(has(dimensions, 'model'), s.model, '*') AS model,
    if(has(dimensions, 'prompt_name'), s.prompt_name, '*') AS prompt_name,
    if(has(dimensions, 'prompt_version'), s.prompt_version, '*') AS prompt_version,
    if(has(dimensions, 'context_strategy'), s.context_strategy, '*') AS context_strategy,
    if(has(dimensions, 'step'), s.step, '*') AS step,
    if(has(dimensions, 'experiment'), s.experiment, '*') AS experiment,
    if(has(dimensions, 'variant'), s.variant, '*') AS variant,
    if(has(dimensions, 'toolset'), s.toolset, '*') AS toolset
FROM reference_suggestions AS s
WHERE s.cohort_at >= {since:DateTime64(3, 'UTC')} AND s.cohort_at < {until:DateTime64(3, 'UTC')}
    AND (NOT mapContains(chosen, 'app') OR has(chosen['app'], s.app))
    AND (NOT mapContains(chosen, 'environment') OR has(chosen['environment'], s.environment))
    AND (NOT mapContains(chosen, 'user') OR has(chosen['user'], s.user))
    AND (NOT mapContains(chosen, 'operation') OR has(chosen['operation'], s.operation))
    AND (NOT mapContains(chosen, 'surface') OR has(chosen['surface'], s.surface))
    AND (NOT mapContains(chosen, 'language') OR has(chosen['language'], s.language))
    AND (NOT mapContains(chosen, 'provider') OR has(chosen['provider'], s.provider))
    AND (NOT mapContains(chosen, 'model') OR has(chosen['model'], s.model))
    AND (NOT mapContains(chosen, 'prompt_name') OR has(chosen['prompt_name'], s.prompt_name))
    AND (NOT mapContains(chosen, 'prompt_version') OR has(chosen['prompt_version'], s.prompt_version))
    AND (NOT mapContains(chosen, 'context_strategy') OR has(chosen['context_strategy'], s.context_strategy))
    AND (NOT mapContains(chosen, 'step') OR has(chosen['step'], s.step))
    AND (NOT mapContains(chosen, 'experiment') OR has(chosen['experiment'], s.experiment))
    AND (NOT mapContains(chosen, 'variant') OR has(chosen['variant'], s.variant))
    AND (NOT mapContains(chosen, 'toolset') OR has(chosen['toolset'], s.toolset))
