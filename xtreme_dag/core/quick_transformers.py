"""Importing transformers without what no text needs: a quarter to a third of its import.

- `import transformers` makes names such as `XLMRobertaConfig` importable by searching every module under
  `transformers/models` for `__all__`, and its first model makes it search them all again. What is found depends on the
  installed files alone, so it is kept for the user: a table of names and where they are defined. An installation without
  a list of its files, an editable one, is searched each time. One whose modules were edited in place is not noticed.
- Its losses of object detection import scipy's optimisers for one function. They get one that imports it when called.

Models, weights and all other code come from transformers as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_SEARCHES = "transformers.utils.import_utils"  # the module that searches, and says which packages are there
_LOSSES = "transformers.loss.loss_"
# Folder -> what is in it, or the packages that names need (a frozenset) -> module -> names.
Names = dict[Any, Any]


def install() -> None:
    """Makes a later import of transformers quick; where it is imported already, nothing changes."""
    if _SEARCHES not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds modules as Python does; some have something done to them once they have run."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder.find_spec`."""
        if not name.startswith((_SEARCHES, _LOSSES)):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader:  # other loaders may serve several modules
            return spec
        loader: Any = spec.loader
        run: Callable[[ModuleType], None] = loader.exec_module

        def run_and_do(module: ModuleType) -> None:
            run(module)
            for do in (_keep_names, _hide_scipy) if name == _SEARCHES else (_import_scipy_late,):
                do(module)

        loader.exec_module = run_and_do
        return spec


def _hide_scipy(module: Any) -> None:
    """Tells the losses, and nobody else, that there is no scipy."""
    available: Callable[[], bool] | None = getattr(module, "is_scipy_available", None)
    if available is None:
        return

    def answer() -> bool:
        asks = str(sys._getframe(1).f_globals.get("__name__"))
        return not asks.startswith(_LOSSES) and available()

    module.is_scipy_available = answer


def _import_scipy_late(module: Any) -> None:
    def linear_sum_assignment(*arguments: Any, **named: Any) -> Any:
        from scipy import optimize

        return optimize.linear_sum_assignment(*arguments, **named)

    if hasattr(module, "is_scipy_available") and not hasattr(module, "linear_sum_assignment"):
        module.linear_sum_assignment = linear_sum_assignment


def _keep_names(module: Any) -> None:
    from pathlib import Path

    from xtreme_dag.core.user_cache import kept_text

    search = getattr(module, "create_import_structure_from_path", None)
    models = Path(str(module.__file__)).parents[1] / "models"
    key = _installed_files(models)
    if search is None or key is None:
        return
    whole = {str(models), str(models / "__init__.py")}

    def kept(path: object) -> Names:
        if str(path) not in whole:
            return dict(search(path))
        return from_text(kept_text(f"transformers-names-{key}.json", lambda: to_text(search(path))))

    module.create_import_structure_from_path = kept


def _installed_files(models: Path) -> str | None:
    """What tells this installation from others; None if its models (their folder) are in no list of files.

    It is a digest of that list, which has a digest of each file, and of the names of the folders that are there.
    """
    import hashlib
    from importlib import metadata

    try:
        installed = metadata.distribution("transformers")
        record = installed.read_text("RECORD") or ""
        if not models.samefile(str(installed.locate_file("transformers/models"))):
            return None
        folders = sorted(each.name for each in models.iterdir() if each.name != "__pycache__")
    except (metadata.PackageNotFoundError, OSError):
        return None
    if "transformers/models/__init__.py," not in record:
        return None
    return hashlib.sha256(f"{record}{folders}".encode()).hexdigest()[:16]


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
