"""Lines of documents or turns of dialogues with their English translations, for training without labels."""

from __future__ import annotations

from xtreme_dag.formats.declaration import Format

FORMAT = Format(
    name="parallel_text",
    columns={"text": "string", "english": "string", "document": "string", "turn": "int32"},
    texts=("text",),
    shown="text",
    read=("text", "english"),
    against_english=True,
    parallel=True,
    generator="dialogues",
)
