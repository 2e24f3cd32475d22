"""Sources, canonical tables, encoded tables, contracts and mixtures."""
