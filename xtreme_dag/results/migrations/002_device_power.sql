-- What a device may draw, for the estimate of energy in `stage_cost`.
CREATE TABLE device_power (
    position INTEGER PRIMARY KEY,     -- the first pattern that a device's name contains counts
    pattern VARCHAR NOT NULL,         -- lower case
    watts DOUBLE NOT NULL,            -- the maker's maximum board power
    source VARCHAR NOT NULL
);
