"""Lines of documents in one language, for training without labels."""

from __future__ import annotations

from xtreme_dag.formats.declaration import Format, Translation

FORMAT = Format(
    name="plain_text",
    columns={"text": "string", "document": "string"},
    texts=("text",),
    shown="text",
    translation=Translation(texts=("text",)),
    generator="lines",
)
