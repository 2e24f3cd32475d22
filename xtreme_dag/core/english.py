"""The code of English, the source language of parallel data and translations."""

# Models are selected on it, and target tasks are trained in it unless a study names another `source_language`.
ENGLISH = "en"
