"""The `prepare` stage: raw files become canonical tables."""
