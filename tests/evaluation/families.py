"""Which family of scores belongs to each format, for tests that compute scores again."""

FAMILY = {
    "pair_classification": "accuracy",
    "multiple_choice": "accuracy",
    "parallel": "accuracy",
    "tagging": "tagging",
    "span_qa": "answers",
    "bitext_mining": "mining",
    "qa_retrieval": "ranking_full",
    "entity_linking": "ranking",
    "dialogue_state": "dialogue",
}
