"""xtreme-dag: from raw benchmark data to the answer of a question about cross-lingual transfer, in cached stages.

In a notebook: `import xtreme_dag as xd`, then `xd.load("study.yaml")` or `xd.connect("home")`; see `docs/python.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xtreme_dag.core.errors import UserError
    from xtreme_dag.program.face import Study, connect, load

__version__ = "0.1.0"
__all__ = ["Study", "UserError", "__version__", "connect", "load"]

# Where each name is, which is imported when it is first used.
_PLACES = {
    "Study": "xtreme_dag.program.face",
    "UserError": "xtreme_dag.core.errors",
    "connect": "xtreme_dag.program.face",
    "load": "xtreme_dag.program.face",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'xtreme_dag' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
