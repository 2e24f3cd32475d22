-- Views and macros. They are made anew at each landing, so this file is all there is to them.
-- "Headline" is a task's primary metric. Averages over languages are unweighted, over seeds plain.

CREATE OR REPLACE VIEW per_language AS
SELECT s.study, s.condition, s.task, s.language, s.split, s.metric,
       avg(s.value) AS value, stddev_samp(s.value) AS seed_sd, count(*) AS seeds, max(s.n) AS n,
       any_value(l.name) AS name, any_value(l.family) AS family, any_value(l.script) AS script,
       any_value(l.seen_in_pretraining) AS seen_in_pretraining, any_value(l.kinship) AS kinship,
       any_value(s.supervision) AS supervision
FROM scores s LEFT JOIN languages l USING (study, language)
WHERE s.is_primary
GROUP BY ALL;

CREATE OR REPLACE VIEW task_scores AS
WITH by_seed AS (
    SELECT study, condition, task, split, metric, seed, avg(value) AS value, count(*) AS languages
    FROM scores WHERE is_primary GROUP BY ALL)
SELECT b.study, b.condition, b.task, b.split, b.metric, avg(b.value) AS value, stddev_samp(b.value) AS seed_sd,
       count(*) AS seeds, max(b.languages) AS languages, any_value(t."group") AS "group"
FROM by_seed b LEFT JOIN tasks t USING (study, task)
GROUP BY ALL;

CREATE OR REPLACE VIEW benchmark_averages AS
-- Mean over the benchmark's tasks of the mean over each task's official languages, per condition.
-- `complete` only if every task has every one of its languages; `missing` names what lacks.
WITH wanted AS (
    SELECT b.study, c.condition, b.benchmark, b.task, b.language
    FROM benchmark_languages b JOIN conditions c USING (study)),
have AS (
    SELECT study, condition, task, language, avg(value) AS value FROM scores
    WHERE is_primary AND split = 'test' GROUP BY ALL),
by_task AS (
    SELECT w.study, w.condition, w.benchmark, w.task, avg(h.value) AS value,
           count(h.value) AS found, count(*) AS wanted
    FROM wanted w LEFT JOIN have h USING (study, condition, task, language) GROUP BY ALL)
SELECT study, condition, benchmark, CASE WHEN bool_and(found = wanted) THEN avg(value) END AS value,
       bool_and(found = wanted) AS complete, count(*) AS tasks,
       string_agg(task || ' ' || found || '/' || wanted, ', ' ORDER BY task) FILTER (found < wanted) AS missing
FROM by_task GROUP BY ALL;

CREATE OR REPLACE VIEW xtreme_average AS
SELECT study, condition, value, complete, missing FROM benchmark_averages WHERE benchmark = 'xtreme';

CREATE OR REPLACE VIEW xtreme_r_average AS
SELECT study, condition, value, complete, missing FROM benchmark_averages WHERE benchmark = 'xtreme-r';

CREATE OR REPLACE VIEW leaderboard AS
SELECT t.study, t.condition, t.split, avg(t.value) AS average,
       avg(t.value) FILTER (coalesce(t."group", '') <> 'retrieval') AS without_retrieval,
       any_value(x.value) FILTER (t.split = 'test') AS xtreme_average,
       rank() OVER (PARTITION BY t.study, t.split ORDER BY avg(t.value) DESC) AS rank,
       count(*) AS tasks, min(t.seeds) AS seeds
       /*task columns*/
FROM task_scores t LEFT JOIN xtreme_average x ON x.study = t.study AND x.condition = t.condition
GROUP BY t.study, t.condition, t.split
ORDER BY t.study, t.split, average DESC, t.condition;

CREATE OR REPLACE VIEW deltas AS
-- Against the study's baseline, each side averaged over its seeds.
SELECT a.study, a.condition, a.task, a.language, a.split, a.metric, a.value, b.value AS baseline_value,
       a.value - b.value AS delta, a.seeds, b.seeds AS baseline_seeds, a.n, s.baseline,
       a.supervision, b.supervision AS baseline_supervision
FROM per_language a JOIN studies s USING (study)
JOIN per_language b ON b.study = a.study AND b.condition = s.baseline AND b.task = a.task AND b.language = a.language
                   AND b.split = a.split AND b.metric = a.metric
WHERE a.condition <> s.baseline;

CREATE OR REPLACE VIEW task_deltas AS
SELECT study, condition, task, split, metric, avg(value) AS value, avg(baseline_value) AS baseline_value,
       avg(delta) AS delta, count(*) AS languages, count(*) FILTER (delta > 0) AS languages_up, min(seeds) AS seeds
FROM deltas GROUP BY ALL;

CREATE OR REPLACE VIEW source_languages AS
-- The language of target-task training of each condition: its own, else the study's.
SELECT study, condition, coalesce(c.description->>'$.source_language', s.source_language) AS source_language
FROM conditions c JOIN studies s USING (study);

CREATE OR REPLACE VIEW transfer_gap AS
-- How far the other languages lie below the condition's language of supervision.
SELECT p.study, p.condition, p.task, p.split, p.metric,
       any_value(p.value) FILTER (p.language = s.source_language) AS source_value,
       avg(p.value) FILTER (p.language <> s.source_language) AS transfer_value,
       source_value - transfer_value AS gap, count(*) FILTER (p.language <> s.source_language) AS languages
FROM per_language p JOIN source_languages s USING (study, condition)
GROUP BY ALL
HAVING source_value IS NOT NULL AND transfer_value IS NOT NULL;

CREATE OR REPLACE VIEW transfer_average AS
-- Mean over the languages that no condition of the study is supervised in: the same languages for every condition.
SELECT p.study, p.condition, p.task, p.split, p.metric, avg(p.value) AS value, count(*) AS languages
FROM per_language p
WHERE NOT EXISTS (FROM source_languages s WHERE s.study = p.study AND s.source_language = p.language)
GROUP BY ALL;

CREATE OR REPLACE VIEW best_by_seed AS
-- For each task and seed the condition that the other seeds choose: the best on dev (mean over the languages that have dev
-- scores), the baseline among the candidates and before its equals.
WITH by_seed AS (
    SELECT study, condition, task, seed, avg(value) AS value FROM scores WHERE is_primary AND split = 'dev' GROUP BY ALL),
others AS (
    SELECT o.study, o.task, o.seed, x.condition, avg(x.value) AS value
    FROM (SELECT DISTINCT study, task, seed FROM by_seed) o
    JOIN by_seed x ON x.study = o.study AND x.task = o.task AND x.seed <> o.seed
    GROUP BY ALL)
SELECT o.study, o.task, o.seed, o.condition, s.baseline
FROM others o JOIN studies s USING (study)
QUALIFY row_number() OVER (
    PARTITION BY o.study, o.task, o.seed ORDER BY o.value DESC, o.condition <> s.baseline, o.condition) = 1;

CREATE OR REPLACE VIEW best_per_target AS
-- For each task the condition that is best on dev: the selection behind "best intermediate task per target task". `gain`
-- has no luck of the choice in it: what a seed gains on test counts for the condition that the other seeds choose on dev.
-- With one seed it is NULL: test_value - baseline_test_value then speaks of two models, the luck of their seeds included.
-- `gain_unseen` is over the languages that neither the baseline nor any of those conditions was trained on for the task.
WITH by_seed AS (
    SELECT study, condition, task, split, seed, avg(value) AS value FROM scores WHERE is_primary GROUP BY ALL),
dev AS (
    SELECT study, task, condition, avg(value) AS value, count(*) AS seeds FROM by_seed WHERE split = 'dev' GROUP BY ALL),
pairs AS (
    SELECT p.study, p.task, p.seed, t.language, t.value - b.value AS gain,
           bool_or(coalesce(t.supervision IN ('source', 'same task'), false)
                   OR coalesce(b.supervision IN ('source', 'same task'), false))
               OVER (PARTITION BY p.study, p.task, t.language) AS seen
    FROM best_by_seed p
    JOIN scores t ON t.study = p.study AND t.task = p.task AND t.seed = p.seed AND t.condition = p.condition
    JOIN scores b ON b.study = p.study AND b.task = p.task AND b.seed = p.seed AND b.condition = p.baseline
                 AND b.language = t.language
    WHERE t.split = 'test' AND b.split = 'test' AND t.is_primary AND b.is_primary),
gains AS (
    SELECT study, task, avg(gain) AS gain, avg(gain_unseen) AS gain_unseen
    FROM (SELECT study, task, seed, avg(gain) AS gain, avg(gain) FILTER (NOT seen) AS gain_unseen FROM pairs GROUP BY ALL)
    GROUP BY ALL),
best AS (
    SELECT d.*, s.baseline, row_number() OVER (
        PARTITION BY d.study, d.task ORDER BY d.value DESC, d.condition <> s.baseline, d.condition) AS place
    FROM dev d JOIN studies s USING (study))
SELECT d.study, d.task, d.condition, d.seeds, d.value AS dev_value, t.value AS test_value,
       b.value AS baseline_test_value, g.gain, g.gain_unseen
FROM best d
LEFT JOIN task_scores t ON t.study = d.study AND t.task = d.task AND t.condition = d.condition AND t.split = 'test'
LEFT JOIN task_scores b ON b.study = d.study AND b.task = d.task AND b.condition = d.baseline AND b.split = 'test'
LEFT JOIN gains g ON g.study = d.study AND g.task = d.task
WHERE d.place = 1;

CREATE OR REPLACE VIEW without_retrieval AS
SELECT study, condition, split, avg(value) AS all_tasks,
       avg(value) FILTER (coalesce("group", '') <> 'retrieval') AS without_retrieval,
       avg(value) FILTER ("group" = 'retrieval') AS retrieval_only
FROM task_scores GROUP BY ALL;

CREATE OR REPLACE VIEW by_family AS
SELECT p.study, p.condition, p.task, p.split, coalesce(split_part(p.family, ':', 1), 'unknown') AS family,
       avg(p.value) AS value, avg(d.delta) AS delta, count(*) AS languages
FROM per_language p LEFT JOIN deltas d USING (study, condition, task, language, split, metric)
GROUP BY ALL;

CREATE OR REPLACE VIEW by_script AS
SELECT p.study, p.condition, p.task, p.split, coalesce(p.script, 'unknown') AS script,
       avg(p.value) AS value, avg(d.delta) AS delta, count(*) AS languages
FROM per_language p LEFT JOIN deltas d USING (study, condition, task, language, split, metric)
GROUP BY ALL;

CREATE OR REPLACE VIEW seen_in_pretraining AS
SELECT p.study, p.condition, p.task, p.split, p.seen_in_pretraining,
       avg(p.value) AS value, avg(d.delta) AS delta, count(*) AS languages
FROM per_language p LEFT JOIN deltas d USING (study, condition, task, language, split, metric)
GROUP BY ALL;

CREATE OR REPLACE VIEW by_length AS
-- Headline figures by the tokens of an example (all its sequences together), in classes that double; the outcomes of
-- `examples` are known. Mean over seeds; where a task has one figure over all examples (F1), over those of the class.
WITH classed AS (
    SELECT *, CAST(2 ** greatest(4, ceil(log2(tokens))) AS INTEGER) AS tokens_to
    FROM predictions
    WHERE tokens > 0 AND coalesce(s_correct, s_tp, s_em, s_ap, s_joint) IS NOT NULL),
by_seed AS (
    SELECT study, condition, task, language, split, seed, tokens_to, count(*) AS examples,
           100 * coalesce(CASE WHEN sum(s_pred) + sum(s_gold) = 0 THEN 0
                               ELSE 2 * sum(s_tp) / (sum(s_pred) + sum(s_gold)) END,
                          (avg(s_em) + avg(s_f1)) / 2, avg(s_ap), avg(s_joint), avg(s_correct)) AS value
    FROM classed GROUP BY ALL)
SELECT study, condition, task, language, split, CASE WHEN tokens_to = 16 THEN 1 ELSE tokens_to // 2 + 1 END AS tokens_from,
       tokens_to, max(examples) AS examples, avg(value) AS value
FROM by_seed GROUP BY ALL;

CREATE OR REPLACE VIEW label_confusion AS
-- How often a label was taken for another, over all seeds: of examples (classification, multiple choice) or of words
-- (tagging). `share` is of the gold label's, `score` the mean confidence.
WITH labelled AS (
    SELECT study, condition, task, p.language, p.split, p.score, unnest(string_split(p.gold, ' ')) AS gold,
           unnest(string_split(p.prediction, ' ')) AS prediction
    FROM predictions p JOIN tasks t USING (study, task) WHERE t."group" IN ('classification', 'tagging'))
SELECT study, condition, task, language, split, gold, prediction, count(*) AS labels,
       count(*) / sum(count(*)) OVER (PARTITION BY study, condition, task, language, split, gold) AS share,
       avg(score) AS score
FROM labelled WHERE gold IS NOT NULL GROUP BY study, condition, task, language, split, gold, prediction;

CREATE OR REPLACE VIEW stage_cost AS
-- Energy is what the stage measured, or an upper estimate: its seconds on the device times the device's maximum power.
-- A device that is not in `device_power` (every CPU) has no estimate.
WITH named AS (
    SELECT *, coalesce(figures ->> '$.device_name', device) AS device_name,
           coalesce(CAST(figures ->> '$.gpu_seconds' AS DOUBLE),
                    CASE WHEN regexp_matches(lower(device), 'cuda|nvidia|tesla|instinct') THEN seconds ELSE 0 END)
               AS gpu_seconds
    FROM stages)
SELECT study, stage_key, kind, name, device_name AS device, current, started, seconds, peak_memory_bytes, gpu_seconds,
       coalesce(CAST(figures ->> '$.tokens' AS DOUBLE),
                CAST(figures ->> '$.tokens_per_s' AS DOUBLE) * CAST(figures ->> '$.seconds' AS DOUBLE)) AS tokens,
       coalesce(CAST(figures ->> '$.energy_wh' AS DOUBLE), gpu_seconds / 3600 * (
           SELECT arg_min(watts, position) FROM device_power WHERE contains(lower(device_name), pattern))) AS energy_wh
FROM named;

CREATE OR REPLACE VIEW cost AS
-- What each condition depends on. A stage that several conditions share counts in each of them; `own` counts only
-- what no other condition needs.
WITH shared AS (
    SELECT study, stage_key, count(*) AS conditions FROM condition_stages GROUP BY ALL)
SELECT c.study, c.condition, count(*) AS stages, sum(k.seconds) AS seconds,
       sum(k.seconds) FILTER (s.conditions = 1) AS own_seconds, sum(k.gpu_seconds) AS gpu_seconds,
       sum(k.tokens) AS tokens, sum(k.energy_wh) AS energy_wh, max(k.peak_memory_bytes) AS peak_memory_bytes
FROM condition_stages c JOIN shared s USING (study, stage_key) JOIN stage_cost k USING (study, stage_key)
GROUP BY ALL;

CREATE OR REPLACE VIEW warnings AS
-- What gives reason to doubt a condition's scores of a task: in how many of its languages and runs, with one example.
SELECT e.study, e.condition, e.task, w.warning, count(DISTINCT e.language) AS languages,
       any_value(t.languages) AS of_languages, count(DISTINCT e.seed) AS seeds,
       arg_min(s.message, (e.language, e.seed, s.place)) AS message
FROM evaluations e JOIN evaluation_warnings w USING (study, condition, task, language, split, seed)
JOIN stage_warnings s ON s.study = w.study AND s.stage_key = w.stage_key AND s.warning = w.warning
JOIN (SELECT study, condition, task, count(DISTINCT language) AS languages FROM evaluations GROUP BY ALL) t
  ON t.study = e.study AND t.condition = e.condition AND t.task = e.task
GROUP BY e.study, e.condition, e.task, w.warning;

CREATE OR REPLACE VIEW stage_history AS
SELECT study, kind, name, started, seconds, host, device, git_commit, fingerprint, stage_key, digest, current
FROM stages ORDER BY study, name, started;

CREATE OR REPLACE VIEW test_data AS
-- What stands in for a task's test, and how many of its examples were read, where that is not all: the study set a limit,
-- or the files have less than 95 % of what was published.
SELECT study, dataset AS task, split,
       string_agg(DISTINCT nullif(stand_in, ''), '; ') AS stand_in, sum(examples) AS examples,
       sum(coalesce(published, available)) AS published,
       concat_ws('; ', 'stand-in: ' || string_agg(DISTINCT nullif(stand_in, ''), '; '),
                 format('{:,} of {:,} examples', CAST(sum(examples) AS BIGINT),
                        CAST(sum(coalesce(published, available)) AS BIGINT))) AS data
FROM data_tables
GROUP BY study, dataset, split
HAVING bool_or(stand_in <> '' OR examples < available OR 100 * examples < 95 * published);

CREATE OR REPLACE VIEW beside_published AS
-- Ours beside what others have published; `note` says where the definitions differ. Studies on generated languages
-- share names of tasks with the benchmark and nothing else, so they are left out.
SELECT p.system, p.task, p.language, p.split, p.metric AS published_metric, p.value AS published, p.is_delta,
       o.study, o.condition, o.metric, o.value AS ours, o.value - p.value AS difference, p.source, p.note,
       s.recipe ->> '$.model' AS model, d.data
FROM published_scores p
LEFT JOIN (
    SELECT study, condition, task, language, split, metric, avg(value) AS value FROM scores GROUP BY ALL
    UNION ALL
    SELECT study, condition, task, 'avg', split, metric, avg(value) FROM scores GROUP BY ALL) o
ON o.study NOT IN (SELECT study FROM languages WHERE kinship IS NOT NULL) AND o.task = p.task AND o.language = p.language AND o.split = p.split AND o.metric = p.metric AND NOT p.is_delta
LEFT JOIN studies s USING (study)
LEFT JOIN test_data d ON d.study = o.study AND d.task = p.task AND d.split = p.split;

CREATE OR REPLACE MACRO by_metric(metric_name) AS TABLE
-- The conditions by one metric, primary or not: mean over languages, then seeds, then the tasks that have it.
WITH by_seed AS (
    SELECT study, condition, task, split, seed, avg(value) AS value FROM scores
    WHERE metric = metric_name GROUP BY ALL),
by_task AS (
    SELECT study, condition, task, split, avg(value) AS value FROM by_seed GROUP BY ALL)
SELECT study, condition, split, avg(value) AS average,
       rank() OVER (PARTITION BY study, split ORDER BY avg(value) DESC) AS rank, string_agg(task, ' ' ORDER BY task) AS tasks
FROM by_task GROUP BY study, condition, split
ORDER BY study, split, average DESC, condition;

CREATE OR REPLACE MACRO lineage(key) AS TABLE
-- Everything that a stage depends on: from a score to its model, data, code, commit and cost.
WITH RECURSIVE up AS (
    SELECT 0 AS depth, s.study, s.stage_key, '' AS input FROM stages s WHERE s.stage_key = key
    UNION
    SELECT up.depth + 1, i.study, coalesce(s.stage_key, 'raw:' || i.digest), i.input
    FROM up JOIN stage_inputs i USING (study, stage_key)
    LEFT JOIN stages s ON s.study = i.study AND s.digest = i.digest)
SELECT up.study, min(up.depth) AS depth, any_value(up.input) AS input, up.stage_key, s.kind, s.name, s.digest,
       s.fingerprint, s.git_commit, s.libraries, s.host, s.device, s.started, s.seconds, s.peak_memory_bytes
FROM up LEFT JOIN stages s USING (study, stage_key)
GROUP BY ALL ORDER BY depth, up.stage_key;

CREATE OR REPLACE MACRO compare(a, b) AS TABLE
-- Point estimates, b minus a, over the languages that both have, each side averaged over its seeds.
SELECT x.study, x.task, x.language, x.split, x.metric, x.value AS a_value, y.value AS b_value,
       y.value - x.value AS delta, x.n
FROM per_language x JOIN per_language y USING (study, task, language, split, metric)
WHERE x.condition = a AND y.condition = b ORDER BY x.study, x.task, x.language;

CREATE OR REPLACE MACRO delta(task_name) AS TABLE
SELECT * FROM deltas WHERE task = task_name ORDER BY study, condition, delta DESC;

CREATE OR REPLACE VIEW learning_curves AS
-- Score against the number of a language's own examples in target training, besides those in the source language: a
-- point for each condition that adds some, and for the one that is otherwise equal (0 examples). Conditions that differ
-- in anything else are curves of their own; a curve has the name of its condition without examples, else of its first.
-- `low` and `high`: 95 % by Student's t over the seeds, within 0-100; from 22 seeds on its quantile is approximated.
WITH told AS (
    SELECT study, condition, position, coalesce(json_keys(json_extract(description, '$.target.examples')), []) AS codes,
           json_merge_patch(description, '{"description": null, "target": null}')::VARCHAR
           || coalesce(nullif(description ->> '$.target.languages', '[]'), '')
           || coalesce(description ->> '$.target.translated', '') AS rest
    FROM conditions),
named AS (
    SELECT study, condition, codes,
           first_value(condition) OVER (PARTITION BY study, rest ORDER BY len(codes) > 0, position) AS curve
    FROM told),
drawn AS (
    SELECT t.study, n.curve, t.condition, t.target AS task, t.language, t.seed, sum(t.examples) AS examples
    FROM trained_on t JOIN named n USING (study, condition)
    WHERE t.target <> '' AND list_contains(n.codes, t.language) GROUP BY ALL),
points AS (
    SELECT s.study, n.curve, s.condition, s.task, s.language, s.split, s.metric,
           coalesce(max(d.examples), 0)::BIGINT AS examples, avg(s.value) AS value, stddev_samp(s.value) AS seed_sd,
           count(*) AS seeds, list(s.value ORDER BY s.seed) AS by_seed
    FROM scores s JOIN named n USING (study, condition) LEFT JOIN drawn d USING (study, condition, task, language, seed)
    WHERE s.is_primary AND (d.examples > 0 OR (len(n.codes) = 0 AND n.condition = n.curve)) GROUP BY ALL)
SELECT p.* EXCLUDE (half), CASE WHEN seeds > 1 THEN greatest(value - half, 0) END AS low,
       CASE WHEN seeds > 1 THEN least(value + half, 100) END AS high
FROM (SELECT *, seed_sd / sqrt(seeds) * coalesce(
          [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281,
           2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860][seeds - 1],
          1.9600 + 2.3723 / (seeds - 1) + 2.8225 / (seeds - 1) ** 2) AS half
      FROM points) p
WHERE (study, curve, task, language) IN (SELECT (study, curve, task, language) FROM drawn);
