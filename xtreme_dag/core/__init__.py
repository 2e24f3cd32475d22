"""Errors, files, locks, YAML, the home folder, and the context of a stage: what every other room may use."""
