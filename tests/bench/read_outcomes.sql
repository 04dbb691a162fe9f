-- Merged outcomes of suggestions that never happened, for the benchmark of reading: ten apps of very different size, five
-- versions that follow one another, two models, eight languages, checks at five horizons, votes, flags, corrections and a judge.
-- Numbers {first} to {first} + {count} of {rows}, over {span_ms} before {newest_ms}; the first is the newest. What
-- happened after {end_ms} did not happen yet.
SELECT * EXCEPT (seen) FROM
(
WITH
    cityHash64(number, 1) AS h1, cityHash64(number, 2) AS h2, cityHash64(number, 3) AS h3,
    h -> (h % 1000003) / 1000003 AS unit,
    {newest_ms} - toInt64({span_ms} * (number + unit(h1)) / {rows}) AS at,
    toUInt8(least(9, -log(1 - unit(h2)) * 2)) AS app_no,
    toUInt8(least(4, floor((number / {rows}) * 5 + unit(h3) * 0.3))) AS version_no,
    1 + (unit(cityHash64(number, 4)) < 0.2) AS model_no,
    ['python','typescript','go','java','rust','c++','sql','markdown'][1 + toUInt8(least(7, -log(1 - unit(cityHash64(number, 5))) * 1.7))] AS lang,
    unit(cityHash64(number, 6)) < 0.85 AS is_shown,
    is_shown AND unit(cityHash64(number, 7)) < 0.32 AS is_accepted,
    toInt64(20 + unit(cityHash64(number, 8)) * 200) AS len,
    at + 900 AS shown_at, at + 900 + toInt64(unit(cityHash64(number, 9)) * 8000) AS accepted_at,
    concat('e', toString(number)) AS eid
SELECT
    concat('app-', toString(app_no)) AS app,
    -- A UUID of version 7. In memory, the half with the time comes first.
    reinterpretAsUUID(bitOr(bitShiftLeft(toUInt128(bitOr(0x8000000000000000, bitAnd(h2, 0x3FFFFFFFFFFFFFFF))), 64), toUInt128(toUInt64(bitOr(bitShiftLeft(toUInt64(at), 16), 0x7000 + h1 % 4096))))) AS generation_id,
    toUInt16(0) AS choice_index,
    tuple(toUInt32(0), at, eid, 'production', concat('u', toString(h3 % {users})), '', 'text_completion', if(h1 % 10 < 7, 'inline', 'panel'), lang, '', 'p', concat('m', toString(model_no)), 'complete', concat('v', toString(version_no)), if(h2 % 3 = 0, 'bm25', 'recent-files'), '', '', '', '', 'produced', 'stop', '', toInt64(800 + h1 % 2000), toInt64(20 + h2 % 200), 0.0004 + unit(h1) / 1000, toInt64(200 + h3 % 1500), toInt64(100 + h3 % 300), toInt64(0), toInt64(0), '')
      ::{generation} AS generation,
    mapFromArrays(arrayConcat(if(is_shown, ['shown'], []), if(is_accepted, ['accept'], [])), arrayConcat(if(is_shown, [shown_at], []), if(is_accepted, [accepted_at], []))) AS first_at,
    first_at AS last_at,
    if(is_shown, len, -1) AS shown_length, if(is_shown, toInt64(1 + len / 40), -1) AS shown_lines, if(is_shown, toInt64(h3 % 3000), -1) AS dwell_ms,
    if(is_accepted, len, -1) AS accepted_length, if(is_accepted, toInt64(1 + len / 40), -1) AS accepted_lines,
    if(is_accepted, tuple(toUInt32(1), accepted_at, eid, 'user', len), tuple(toUInt32(0), toInt64(0), '', '', toInt64(0)))::{accept} AS accept,
    mapFromArrays(if(h1 % 50 = 0, ['u'], []), arrayMap(x -> tuple(toUInt32(0), at, eid, toInt8(if(h2 % 4 = 0, -1, 1)), -1.), if(h1 % 50 = 0, [1], [])))::{votes} AS votes,
    mapFromArrays(if(h2 % 90 = 0, ['wrong'], []), arrayMap(x -> tuple(toUInt32(0), at, eid, 'wrong', toUInt8(1), '', 'negative'), if(h2 % 90 = 0, [1], [])))::{flags} AS flags,
    mapFromArrays(if(h3 % 120 = 0, ['u'], []), arrayMap(x -> tuple(toUInt32(0), at, eid, toInt64(3), len, len, 'user'), if(h3 % 120 = 0, [1], [])))::{corrections} AS corrections,
    arrayFilter(x -> is_accepted AND accepted_at + x.1 * 1000 < {end_ms} AND unit(cityHash64(number, 10, x.1)) < 0.93, [(30, 0.08), (120, 0.15), (300, 0.22), (600, 0.28), (86400, 0.45)]) AS seen,
    mapFromArrays(arrayMap(x -> toString(x.1), seen), arrayMap(x -> tuple(toUInt32(1), toUInt32(0), accepted_at + x.1 * 1000, eid,
        if(unit(cityHash64(number, 11)) < x.2 / 2, 'removed', 'present'), '', toInt64(x.1 * 1000 + 7), len,
        if(unit(cityHash64(number, 11)) < x.2 / 2, 0, len), if(unit(cityHash64(number, 11)) < x.2 / 2, len, if(unit(cityHash64(number, 11)) < x.2, intDiv(len, 2), if(unit(cityHash64(number, 11)) < x.2 * 2, intDiv(len, 10), 0))),
        toInt64(12), toInt64(h1 % 13), unit(h2), -1., toInt64(-1), toInt64(-1), toUInt8(0), toUInt8(0)), seen))::{retention} AS retention,
    mapFromArrays(if(h3 % 25 = 0, ['j'], []), arrayMap(x -> tuple(toUInt32(0), at + 5000, eid, 'grounded', 'llm', 'judge-1', toUInt8(0), 0., if(unit(cityHash64(number, 12)) < 0.8, 'pass', 'fail')), if(h3 % 25 = 0, [1], [])))::{evaluations} AS evaluations,
    if(h2 % 3 = 0, tuple(toUInt32(0), at, eid, 'edit, search'), tuple(toUInt32(0), toInt64(0), '', ''))::{tools} AS tools
FROM numbers({first}, {count})
)
