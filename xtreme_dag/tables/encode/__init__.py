"""The `encode` stage: canonical tables become token ids, one encoder per head."""
