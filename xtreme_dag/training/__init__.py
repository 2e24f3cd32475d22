"""Training stages: the loop, model selection, checkpoints and exact resume."""
