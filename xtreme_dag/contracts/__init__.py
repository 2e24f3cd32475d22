"""Contracts: what a dataset must satisfy, as ODCS files, run by Great Expectations."""
