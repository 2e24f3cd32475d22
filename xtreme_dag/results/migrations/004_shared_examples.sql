-- Examples of a table that is tested (or selected on) which one that is trained or selected on has, too.
CREATE TABLE shared_examples (
    study VARCHAR NOT NULL,
    seen VARCHAR NOT NULL,            -- dataset/language/split
    seen_for VARCHAR NOT NULL,        -- train or select
    tested VARCHAR NOT NULL,          -- dataset/language/split
    examples INTEGER NOT NULL,        -- of the tested table
    found INTEGER NOT NULL,           -- of them in the seen one
    share DOUBLE NOT NULL,            -- 0-1, of those that are not too short to say something
    ways JSON NOT NULL,               -- text, id, number, near -> how many were found so
    first_ids JSON NOT NULL,          -- pairs: id in the tested table, id in the seen one
    leak BOOLEAN NOT NULL,            -- more than recurs by chance
    allowed VARCHAR NOT NULL,         -- the study's reason to allow it, else ''
    PRIMARY KEY (study, seen, seen_for, tested)
);
