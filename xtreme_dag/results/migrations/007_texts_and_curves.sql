-- The canonical table of an evaluation's examples, Parquet, relative to the home if inside it; NULL if it is not here.
ALTER TABLE evaluations ADD COLUMN texts VARCHAR;

-- How each training went.
CREATE TABLE training_curves (
    study VARCHAR NOT NULL,
    stage_key VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,            -- pretrain, intermediate, target
    condition VARCHAR NOT NULL,       -- '' where all conditions share the stage
    seed BIGINT NOT NULL,
    target VARCHAR NOT NULL,          -- target task; '' for intermediate training
    step INTEGER NOT NULL,            -- of intermediate training, from 1
    measure VARCHAR NOT NULL,         -- loss (mean since the point before), dev, tokens_per_s, examples_per_s, mfu, memory_mb
    optimizer_step BIGINT NOT NULL,   -- steps done
    value DOUBLE NOT NULL
);
