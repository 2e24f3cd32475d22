"""Gates: stages whose artifact is a verdict on another stage's artifact. A negative one stops what comes after it."""

from __future__ import annotations

import json
from pathlib import Path

from xtreme_dag.core.errors import UserError

VERDICT = "verdict.json"


class GateClosed(UserError):
    """A gate's verdict is negative: what comes after it must not run."""


def write_verdict(out: Path, why_not: str = "") -> None:
    """Writes the verdict of a gate, for its stage function.

    Args:
        out: the folder of its artifact.
        why_not: what is wrong, in a line; empty if nothing is.
    """
    content = json.dumps({"ok": not why_not, "why": why_not}, ensure_ascii=False)
    (out / VERDICT).write_text(content + "\n", encoding="utf-8")


def why_closed(artifact: Path) -> str:
    """What a gate's artifact says against what it judged; empty if it lets it pass.

    Raises:
        OSError, ValueError: the artifact is damaged.
    """
    verdict = json.loads((artifact / VERDICT).read_bytes())
    if not isinstance(verdict, dict) or not isinstance(verdict.get("ok"), bool):
        raise ValueError(f"{artifact / VERDICT} is no verdict")
    return "" if verdict["ok"] else str(verdict.get("why", ""))
