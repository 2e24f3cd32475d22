"""Builds the stage graph of a study."""
