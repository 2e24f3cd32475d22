"""Generated languages with known truth: the embedded default."""
