"""Inference, retrieval and scoring."""
