"""Importing transformers without a search of all its models, and without tensors that are spread over processes.

- `import transformers` makes names such as `XLMRobertaConfig` importable by searching every module under
  `transformers/models` for `__all__`, and its first model makes it search them all again. What is found depends on the
  installed files alone, so it is kept for the user: a table of names and where they are defined. An installation without
  a list of its files, an editable one, is searched each time. One whose modules were edited in place is not noticed.
- It can do without `torch.distributed`, and then leaves out what spreads one model over processes. So it does in a process
  that has no others beside it (`WORLD_SIZE` is not set). Here models are spread by torch itself, in `training/processes.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

# Folder -> what is in it, or the packages that names need (a frozenset) -> module -> names.
Names = dict[Any, Any]


def _hide_processes(module: Any) -> None:
    available: Callable[[], bool] | None = getattr(module, "is_torch_distributed_available", None)
    if available is None or "WORLD_SIZE" in os.environ:
        return

    @wraps(available)
    def answer() -> bool:
        return False

    module.is_torch_distributed_available = answer


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


def _unwrap_late(module: Any) -> None:
    """A model of transformers is in no wrapper; Accelerate, which looks for one, imports all kinds, and a compiler."""
    own: Callable[..., Any] = module.unwrap_model
    whole: type = module.PreTrainedModel

    @wraps(own)
    def unwrap_model(model: Any, recursive: bool = False) -> Any:
        plain = isinstance(model, whole) and not recursive and "_orig_mod" not in vars(model)
        return model if plain else own(model, recursive=recursive)

    module.unwrap_model = unwrap_model


def _with_tensors_over_processes(_: Any) -> None:
    """Peft takes it for granted that transformers has imported them."""
    import torch.distributed.tensor  # noqa: F401


def _after_its_search(module: Any) -> None:
    for do in (_keep_names, _hide_processes):
        do(module)


# Module -> what is done to it once it has run.
THEN: Mapping[str, Callable[[Any], None]] = {
    "peft": _with_tensors_over_processes,
    "transformers.modeling_utils": _unwrap_late,
    "transformers.utils.import_utils": _after_its_search,
}
