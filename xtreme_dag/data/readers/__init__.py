"""Readers of release files: one function per file format, yielding chunks of canonical columns."""
