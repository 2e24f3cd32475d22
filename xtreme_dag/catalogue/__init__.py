"""The catalogue: languages, datasets and tasks, as data."""
