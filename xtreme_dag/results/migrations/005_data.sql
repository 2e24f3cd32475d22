-- What the study read, and how much it is of what was published.
CREATE TABLE data_tables (
    study VARCHAR NOT NULL,
    dataset VARCHAR NOT NULL,
    language VARCHAR NOT NULL,
    split VARCHAR NOT NULL,
    examples BIGINT NOT NULL,
    available BIGINT NOT NULL,        -- examples that the source has: more than `examples` where the study set a limit
    published BIGINT,                 -- as its publishers count; NULL: not known, or generated
    stand_in VARCHAR NOT NULL,        -- what it really is where it only stands in for the split, else ''
    PRIMARY KEY (study, dataset, language, split)
);

-- What each training really drew, once through.
CREATE TABLE trained_on (
    study VARCHAR NOT NULL,
    condition VARCHAR NOT NULL,
    seed BIGINT NOT NULL,
    target VARCHAR NOT NULL,          -- target task; '' for intermediate training
    step INTEGER NOT NULL,            -- of intermediate training, from 1
    task VARCHAR NOT NULL,
    dataset VARCHAR NOT NULL,         -- that was read
    language VARCHAR NOT NULL,
    examples BIGINT NOT NULL,
    tokens BIGINT NOT NULL
);
