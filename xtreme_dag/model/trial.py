"""What loading a model folder would say, without its weights: `python -m xtreme_dag.model.trial FOLDER` prints JSON.

It is the loading itself, on torch's device `meta`: names and shapes of all weights are compared as there. Whoever may not
import torch, a plan above all, asks this module in a process of its own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError


def trial(folder: Path) -> dict[str, Any]:
    """Loads a folder without its weights.

    Returns:
        `error` (`what`, `where` and `fix`, or None), `lines` of the log, and where it loads `rows` of the embeddings,
        `head` (whether it has a masked language modelling head) and `runs` (packed, or padded).
    """
    from xtreme_dag.model.folder import encoder_folder, load_encoder

    lines: list[str] = []
    try:
        encoder, head = load_encoder(encoder_folder(folder), log=lines.append, device="meta")
    except UserError as error:
        return {"error": {"what": error.what, "where": error.where, "fix": error.fix}, "lines": lines}
    return {
        "error": None,
        "lines": lines,
        "rows": len(encoder.word_embeddings()),
        "head": head is not None or (folder / "heads.json").is_file(),
        "runs": "packed" if encoder.packs else "padded",
    }


if __name__ == "__main__":
    print(json.dumps(trial(Path(sys.argv[1]))))
