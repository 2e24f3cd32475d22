"""The language that all others are held against."""

# Parallel data and translations start from it, models are selected on it, and target tasks are trained in it unless a
# study names another `source_language`.
ENGLISH = "en"
