"""Evaluation stages: inference, retrieval, and scores per language."""
