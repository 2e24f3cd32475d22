-- The processor that ran a stage, and its widest vector instructions, on which the last digits depend; '' if not known.
ALTER TABLE stages ADD COLUMN processor VARCHAR DEFAULT '';
