-- The results database. It is derived: `xtreme-dag results rebuild` makes it again from the landings and the store.
-- Every row belongs to one study, so that a landing replaces the study's rows and touches nothing else.

CREATE TABLE schema_version (version INTEGER PRIMARY KEY, name VARCHAR NOT NULL);

-- sha256 of the views and published numbers that are laid in here: another package version lays its own.
CREATE TABLE package (digest VARCHAR NOT NULL);

CREATE TABLE studies (
    study VARCHAR PRIMARY KEY,
    question VARCHAR NOT NULL,
    baseline VARCHAR NOT NULL,
    source_language VARCHAR NOT NULL,
    targets VARCHAR[] NOT NULL,
    seeds BIGINT[] NOT NULL,
    recipe JSON NOT NULL,
    origin VARCHAR NOT NULL,          -- home of another machine that it was added from, else ''
    landing_digest VARCHAR NOT NULL   -- sha256 of the landing document: equal means nothing to do
);

CREATE TABLE conditions (
    study VARCHAR NOT NULL,
    condition VARCHAR NOT NULL,
    position INTEGER NOT NULL,        -- order in the study file
    description JSON NOT NULL,
    PRIMARY KEY (study, condition)
);

CREATE TABLE languages (
    study VARCHAR NOT NULL,
    language VARCHAR NOT NULL,
    name VARCHAR,
    family VARCHAR,
    script VARCHAR,
    seen_in_pretraining BOOLEAN,      -- NULL: unknown
    kinship DOUBLE,                   -- generated languages: planted similarity to the source language
    PRIMARY KEY (study, language)
);

CREATE TABLE tasks (
    study VARCHAR NOT NULL,
    task VARCHAR NOT NULL,
    title VARCHAR,
    "group" VARCHAR,                  -- classification, tagging, qa, retrieval
    PRIMARY KEY (study, task)
);

-- Over which languages a benchmark's official average of a task is taken.
CREATE TABLE benchmark_languages (
    study VARCHAR NOT NULL,
    benchmark VARCHAR NOT NULL,
    task VARCHAR NOT NULL,
    language VARCHAR NOT NULL,
    PRIMARY KEY (study, benchmark, task, language)
);

CREATE TABLE stages (
    study VARCHAR NOT NULL,
    stage_key VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,          -- of the artifact
    fingerprint VARCHAR NOT NULL,     -- of the code
    git_commit VARCHAR NOT NULL,
    libraries JSON NOT NULL,
    host VARCHAR NOT NULL,
    device VARCHAR NOT NULL,
    started TIMESTAMP,                -- UTC
    seconds DOUBLE NOT NULL,          -- wall clock
    peak_memory_bytes BIGINT NOT NULL,
    figures JSON NOT NULL,
    current BOOLEAN NOT NULL,         -- part of the study's last run
    PRIMARY KEY (study, stage_key)
);

CREATE TABLE stage_inputs (
    study VARCHAR NOT NULL,
    stage_key VARCHAR NOT NULL,
    input VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    PRIMARY KEY (study, stage_key, input)
);

-- Which stages a condition's evaluations depend on, directly or not.
CREATE TABLE condition_stages (
    study VARCHAR NOT NULL,
    condition VARCHAR NOT NULL,
    stage_key VARCHAR NOT NULL,
    PRIMARY KEY (study, condition, stage_key)
);

CREATE TABLE evaluations (
    study VARCHAR NOT NULL,
    condition VARCHAR NOT NULL,
    task VARCHAR NOT NULL,
    language VARCHAR NOT NULL,
    split VARCHAR NOT NULL,
    seed BIGINT NOT NULL,
    metric VARCHAR NOT NULL,          -- the primary one
    n BIGINT NOT NULL,                -- examples
    stage_key VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    predictions VARCHAR NOT NULL,     -- Parquet, relative to the home if inside it
    PRIMARY KEY (study, condition, task, language, split, seed)
);

CREATE TABLE scores (
    study VARCHAR NOT NULL,
    condition VARCHAR NOT NULL,
    task VARCHAR NOT NULL,
    language VARCHAR NOT NULL,
    split VARCHAR NOT NULL,
    seed BIGINT NOT NULL,
    metric VARCHAR NOT NULL,
    value DOUBLE NOT NULL,            -- 0-100
    is_primary BOOLEAN NOT NULL,
    n BIGINT NOT NULL,
    stage_key VARCHAR NOT NULL
);

CREATE TABLE contracts (
    study VARCHAR NOT NULL,
    dataset VARCHAR NOT NULL,
    language VARCHAR NOT NULL,
    split VARCHAR NOT NULL,
    ok BOOLEAN NOT NULL,
    rules INTEGER NOT NULL,           -- number evaluated
    violations JSON NOT NULL,
    digest VARCHAR NOT NULL,
    PRIMARY KEY (study, dataset, language, split)
);

-- Numbers that others have published, each with where it was read.
CREATE TABLE published_scores (
    system VARCHAR NOT NULL,
    task VARCHAR NOT NULL,            -- name in the catalogue, or 'average'
    language VARCHAR NOT NULL,        -- 'avg' for a mean over languages
    split VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    value DOUBLE NOT NULL,
    is_delta BOOLEAN NOT NULL,        -- a gain over the baseline instead of a score
    source VARCHAR NOT NULL,
    note VARCHAR NOT NULL             -- how its definition differs from ours
);
