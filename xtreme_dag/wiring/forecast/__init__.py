"""Forecasts for a plan: sizes of tables, composition of conditions, warnings, GPU hours."""
