"""Checks of all tables of a data source, without a study."""
