"""Formats of canonical tables, and what distinguishes them for the rest of the program."""

# Formats whose queries are searched in one pool of all languages before the evaluations; see `evaluation.pooled`.
POOLED_FORMATS = ("qa_retrieval", "entity_linking")
