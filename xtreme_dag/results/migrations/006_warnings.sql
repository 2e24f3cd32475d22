-- What gives reason to doubt a stage's outcome: a degenerate model, or data that it could not read.
CREATE TABLE stage_warnings (
    study VARCHAR NOT NULL,
    stage_key VARCHAR NOT NULL,
    place INTEGER NOT NULL,           -- among the stage's warnings
    warning VARCHAR NOT NULL,         -- which, see docs/results.md
    message VARCHAR NOT NULL,
    value DOUBLE NOT NULL,            -- what was found
    bound DOUBLE NOT NULL,            -- what it was held against
    PRIMARY KEY (study, stage_key, place)
);

-- The evaluations that depend on a stage with warnings, itself included.
CREATE TABLE evaluation_warnings (
    study VARCHAR NOT NULL,
    condition VARCHAR NOT NULL,
    task VARCHAR NOT NULL,
    language VARCHAR NOT NULL,
    split VARCHAR NOT NULL,
    seed BIGINT NOT NULL,
    stage_key VARCHAR NOT NULL,
    warning VARCHAR NOT NULL,
    PRIMARY KEY (study, condition, task, language, split, seed, stage_key, warning)
);
