"""Load pretrained weights from a folder: every weight of the architecture, none left at random.

transformers fills weights that a checkpoint lacks at random, asks on the terminal whether code that a folder brings
with it may run, and reports both in a log that is silenced here. So this module looks at what it says it did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import read_json

# What training loops put before every name: DataParallel, Lightning (its attribute `model`), torch.compile.
_WRAPPERS = ("module.", "model.", "_orig_mod.")
# What a checkpoint may have that is used nowhere here: pooling layers and BERT's next sentence head.
_UNUSED = ("pooler.", "cls.seq_relationship.")
_SHOWN = 3


class Checkpoint:
    """The safetensors files of a folder.

    Args:
        folder: the folder.

    Attributes:
        files: the files, the shards of an index where there is one.
        keys: names of all tensors, as stored.
        prefix: what stands before every name and is left out of it; set by `find_prefix`.
    """

    def __init__(self, folder: Path) -> None:
        from safetensors import SafetensorError, safe_open

        self.index = folder / "model.safetensors.index.json"
        self.files = tuple(sorted(folder.glob("*.safetensors")))
        if (folder / "model.safetensors").is_file():
            self.files = (folder / "model.safetensors",)
        elif self.index.is_file():
            self.files = _shards(self.index)
        self.prefix = ""
        self.keys: dict[str, Path] = {}
        for path in self.files:
            try:
                with safe_open(str(path), framework="pt") as weights:
                    self.keys |= dict.fromkeys(weights.keys(), path)
            except (OSError, SafetensorError) as error:
                raise UserError(f"the weights cannot be read ({error})", where=str(path)) from None

    @property
    def where(self) -> str:
        """What to name in messages: the file, or the index of the shards."""
        return str(self.files[0] if len(self.files) == 1 else self.index)

    def find_prefix(self, model: nn.Module, base: str) -> None:
        """Finds the wrappers that stand before the names of a model.

        Args:
            model: an encoder, weights on the meta device are enough.
            base: what transformers itself puts before the encoder's names in a model with a head (`roberta`).
        """
        known = {start + name for name in model.state_dict() for start in ("", f"{base}.")}
        prefix = ""
        while not any(key.startswith(prefix) and modern(key.removeprefix(prefix)) in known for key in self.keys):
            part = next((part for part in _WRAPPERS if any(key.startswith(prefix + part) for key in self.keys)), None)
            if part is None:
                return
            prefix += part
        self.prefix = prefix

    def tensors(self, wanted: Callable[[str], bool]) -> dict[str, Tensor]:
        """Tensors by their names without the prefix, those whose name is wanted."""
        from safetensors import safe_open

        found: dict[str, Tensor] = {}
        for path in self.files:
            with safe_open(str(path), framework="pt") as weights:
                for key in sorted(weights.keys()):
                    name = key.removeprefix(self.prefix)
                    if wanted(name):
                        found[name] = weights.get_tensor(key)
        return found


def _shards(index: Path) -> tuple[Path, ...]:
    """The files that an index of weights names; they must lie beside it.

    Raises:
        UserError: it is no such index.
    """
    found = read_json(index, what="an index of weights").get("weight_map")
    names = (
        set(found.values()) if isinstance(found, dict) and all(isinstance(x, str) for x in found.values()) else set()
    )
    if not names or any(Path(name).name != name for name in names):
        raise UserError("is not an index of weights (weight_map: name -> file beside it)", where=str(index))
    return tuple(index.parent / name for name in sorted(names))


def modern(key: str) -> str:
    """A name as transformers writes it today: checkpoints of TensorFlow's time call weight and bias gamma and beta."""
    return key.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def load_config(folder: Path) -> Any:
    """The configuration of a model folder.

    Raises:
        UserError: it cannot be read, or its architecture is code that the folder brings with it.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises many kinds, of its own, of torch's and of its libraries'
        raise _refusal(folder, error) from None


def load_complete(
    kind: Any,
    folder: Path,
    config: Any,
    *,
    log: Callable[[str], None],
    optional: Callable[[str], bool] = lambda _name: False,
    device: str = "cpu",
    **construction: Any,
) -> tuple[Any, list[str]]:
    """Loads a model with every weight that it has, in float32, offline, from safetensors only.

    Args:
        kind: transformers' class of the model.
        folder: the folder.
        config: as `load_config` gave it.
        log: told of weights that nothing here uses, and of prefixes that are left out of their names.
        optional: whether a weight of this name may be missing.
        device: `meta` reads the names and shapes of the weights and not the weights.
        construction: further arguments of the model's constructor.

    Returns:
        The model, the same at every load, and the optional weights that are missing.

    Raises:
        UserError: weights are missing (a pooling layer's may), have another shape, or cannot be read.
    """
    checkpoint = Checkpoint(folder)
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # a pooling layer that the checkpoint lacks is the same at every load
            source: str | None = str(folder)
            given: dict[str, Any] = {}
            if any(key.startswith(_WRAPPERS) for key in checkpoint.keys):
                with torch.device("meta"):
                    make = getattr(kind, "from_config", kind)  # one of transformers' Auto classes, or a model's own
                    plain: Any = make(deepcopy(config), **_constructor(construction))
                kind = type(plain)
                checkpoint.find_prefix(plain, plain.base_model_prefix)
            if checkpoint.prefix:
                log(f"{checkpoint.where}: the prefix {checkpoint.prefix!r} is left out of the names of weights")
                source, given = None, {"state_dict": checkpoint.tensors(lambda _name: True)}
            if device == "meta":
                given["device_map"] = "meta"
            model, report = kind.from_pretrained(
                source,
                config=config,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **given,
                **construction,
            )
    except UserError:
        raise
    except Exception as error:
        raise _refusal(folder, error) from None
    absent = _refuse_incomplete(model, report, checkpoint, optional)
    unexpected = sorted(key for key in report["unexpected_keys"] if not _has_part(key, _UNUSED))
    if unexpected:
        log(f"{checkpoint.where}: {len(unexpected)} weights are not used: {_some(unexpected)}")
    return model, absent


def _constructor(construction: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `from_pretrained` that are the constructor's."""
    return {name: value for name, value in construction.items() if name != "attn_implementation"}


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' progress bars and load reports."""
    from transformers.utils import logging

    talk: Any = logging
    before = talk.get_verbosity()
    talk.set_verbosity_error()
    talk.disable_progress_bar()
    try:
        yield
    finally:
        talk.set_verbosity(before)


def _refuse_incomplete(
    model: Any, report: Mapping[str, Any], checkpoint: Checkpoint, optional: Callable[[str], bool]
) -> list[str]:
    """Raises if the checkpoint does not have all weights of the model, in their shapes; the optional ones it lacks."""
    absent = sorted(key for key in report["missing_keys"] if not _has_part(key, _UNUSED))
    missing = [key.removeprefix(f"{model.base_model_prefix}.") for key in absent if not optional(key)]
    if missing:
        raise UserError(
            f"{len(missing)} of the {len(model.state_dict())} weights of the model are missing: {_some(missing)}",
            where=checkpoint.where,
            fix="config.json and the weights must be of one model: the same architecture, as many layers",
        )
    if report["mismatched_keys"]:
        key, stored, wanted = sorted(report["mismatched_keys"])[0]
        raise UserError(
            f"{len(report['mismatched_keys'])} weights have another shape than in config.json: "
            f"{key} has {list(stored)}, not {list(wanted)}",
            where=checkpoint.where,
            fix="config.json and the weights must be of one model",
        )
    return absent


def _refusal(folder: Path, error: Exception) -> UserError:
    """Why transformers could not load a folder, in our words."""
    try:
        settings: Any = read_json(folder / "config.json")
    except UserError as unread:
        return unread
    if isinstance(settings, dict) and settings.get("auto_map"):
        return UserError(
            "the model needs code that its folder brings with it (auto_map), and such code is never run",
            where=str(folder / "config.json"),
            fix="use a model of an architecture that transformers has itself",
        )
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return UserError(f"transformers cannot load the model ({reason})", where=str(folder))


def _has_part(key: str, parts: Iterable[str]) -> bool:
    """Whether one of the dotted parts stands in a name."""
    return any(f".{part}" in f".{key}" for part in parts)


def _some(names: list[str]) -> str:
    """The first names, and that there are more."""
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
