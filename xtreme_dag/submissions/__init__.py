"""The XTREME submission layout: read, judge, write and import predictions."""
