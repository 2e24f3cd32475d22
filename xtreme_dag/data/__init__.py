"""Data: readers of release files, canonical tables, tables derived from them, and data of the user's own."""
