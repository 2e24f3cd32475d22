"""Drills: planted faults by the hundred, and one table of what came of them (`make drills`; `docs/drills.md`)."""
