-- What the model was trained on in the language of the score: source (the task was trained in it), same task, other
-- task, text or none; NULL where it is not known.
ALTER TABLE scores ADD COLUMN supervision VARCHAR;
