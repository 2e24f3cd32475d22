"""Prefect tasks: one per kind of stage, cached by the engine's store, and those that land and report."""
