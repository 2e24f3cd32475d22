"""Samplers, the loop, selection, checkpoints and exact resume."""
