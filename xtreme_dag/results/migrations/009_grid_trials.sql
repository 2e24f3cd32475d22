-- Trials of hyperparameter grids, and which of them the target models have their settings from.
CREATE TABLE grid_trials (
    study VARCHAR NOT NULL,
    condition VARCHAR NOT NULL,
    task VARCHAR NOT NULL,            -- target task
    seed BIGINT NOT NULL,             -- of the trials; with `grid_seeds: first` their choice is for all seeds
    trial INTEGER NOT NULL,           -- its place in the grid, from 1
    settings JSON NOT NULL,           -- what it has of its own in the recipe
    dev DOUBLE NOT NULL,              -- the figure that it was chosen by: share of right decisions on dev, 0-1
    optimizer_step BIGINT NOT NULL,   -- whose weights it kept
    chosen BOOLEAN NOT NULL,
    stage_key VARCHAR NOT NULL        -- of its training
);
