"""Importing transformers without what no text needs: a quarter to a third of its import.

`import transformers` makes names such as `XLMRobertaConfig` importable by searching every module under
`transformers/models` for `__all__`, and its first model makes it search them all again. What is found depends on the
installed files alone, so it is kept for the user: a table of names and where they are defined. Its losses of object
detection import scipy's optimisers. They are told that there is no scipy; a model that uses it still finds it.

Models, weights and all other code come from transformers as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_SEARCHES = "transformers.utils.import_utils"  # the module that searches, and says which packages are there
_LOSSES = "transformers.loss."
# Folder -> what is in it, or the packages that names need (a frozenset) -> module -> names.
Names = dict[Any, Any]


def install() -> None:
    """Makes a later import of transformers quick; does nothing where it is imported already."""
    if _SEARCHES not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds the module that searches as Python does, and exchanges its functions once it has run."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder.find_spec`."""
        if name != _SEARCHES:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            run: Callable[[ModuleType], None] = spec.loader.exec_module

            def run_and_exchange(module: ModuleType) -> None:
                run(module)
                _keep_names(module)
                _hide_scipy(module)

            spec.loader.exec_module = run_and_exchange  # type: ignore[method-assign]
        return spec


def _hide_scipy(module: ModuleType) -> None:
    available = getattr(module, "is_scipy_available", None)
    if available is None:
        return

    def answer() -> bool:
        asks = str(sys._getframe(1).f_globals.get("__name__"))
        return not asks.startswith(_LOSSES) and bool(available())

    module.is_scipy_available = answer  # type: ignore[attr-defined]


def _keep_names(module: ModuleType) -> None:
    from pathlib import Path

    from xtreme_dag.core.user_cache import kept_text

    search = getattr(module, "create_import_structure_from_path", None)
    key = _installed_files()
    if search is None or key is None:
        return
    models = Path(str(module.__file__)).parents[1] / "models"
    whole = {str(models), str(models / "__init__.py")}

    def kept(path: object) -> Names:
        if str(path) not in whole:
            return dict(search(path))
        return from_text(kept_text(f"transformers-{key}.json", lambda: to_text(search(path))))

    module.create_import_structure_from_path = kept  # type: ignore[attr-defined]


def _installed_files() -> str | None:
    """A digest of the list of installed files, which has a digest of each; None if the models are not in it."""
    import hashlib
    from importlib import metadata

    try:
        record = metadata.distribution("transformers").read_text("RECORD") or ""
    except metadata.PackageNotFoundError:
        return None
    return hashlib.sha256(record.encode()).hexdigest()[:16] if "transformers/models/__init__.py," in record else None


def to_text(names: Names) -> str:
    """Names as JSON; the order of folders and modules is kept, which decides between equal names."""
    import json

    def plain(inside: Names) -> list[Any]:
        return [
            [sorted(key), {module: sorted(found) for module, found in value.items()}]
            if isinstance(key, frozenset)
            else [key, plain(value)]
            for key, value in inside.items()
        ]

    return json.dumps(plain(names), separators=(",", ":"))


def from_text(text: str) -> Names:
    """The names of which `to_text` made this text."""
    import json

    def nested(inside: list[Any]) -> Names:
        return {
            key if isinstance(key, str) else frozenset(key): nested(value)
            if isinstance(key, str)
            else {module: set(found) for module, found in value.items()}
            for key, value in inside
        }

    return nested(json.loads(text))
