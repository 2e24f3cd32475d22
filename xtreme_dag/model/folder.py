"""Load an encoder from a folder in safetensors, or make a new one from a configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from xtreme_dag.core.errors import UserError
from xtreme_dag.model import attention
from xtreme_dag.model.encoder import PACKABLE, PackedEncoder
from xtreme_dag.model.weights import Checkpoint, load_complete, load_config


def encoder_folder(folder: Path) -> Path:
    """Where the encoder of a model folder lies; an error if there is none that can be loaded safely."""
    found = folder / "encoder" if (folder / "encoder").is_dir() else folder
    if not (found / "config.json").is_file():
        raise UserError("there is no model in this folder (no config.json)", where=str(folder))
    if not any(found.glob("*.safetensors")):
        pickled = sorted(path.name for path in found.glob("*.bin"))
        raise UserError(
            f"the model has only pickled weights ({', '.join(pickled)})" if pickled else "the model has no weights",
            where=str(folder),
            fix=f"convert them, if you trust them: xtreme-dag model convert {folder} OUT"
            if pickled
            else "if it was published with pickled weights (*.bin), get those and: xtreme-dag model convert FOLDER OUT",
        )
    return found


def load_encoder(
    folder: Path, *, log: Callable[[str], None], used: Iterable[str] = ()
) -> tuple[PackedEncoder, Checkpoint]:
    """The encoder of a folder, without a pooling layer, in float32, and where its weights came from.

    Args:
        folder: folder of the encoder.
        log: told of weights that are not used and of prefixes that are left out of their names.
        used: starts of the names of weights that the caller reads itself.
    """
    from transformers import AutoModel

    config = load_config(folder)
    if getattr(config, "num_hidden_layers", 1) < 1:
        raise UserError("an encoder without layers", where=str(folder / "config.json"))
    model, checkpoint = load_complete(AutoModel, folder, config, log=log, used=used, **_construction(config))
    return PackedEncoder(model), checkpoint


def new_encoder(config: Any, seed: int) -> PackedEncoder:
    """A randomly initialised encoder; a pure function of its configuration and the seed."""
    from transformers import AutoModel

    build: Any = AutoModel.from_config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PackedEncoder(build(deepcopy(config), **_construction(config)))


def _construction(config: Any) -> dict[str, Any]:
    """How the encoder of a configuration is built: packed attention and no pooling layer, where it has such."""
    attention.register()
    if config.model_type not in PACKABLE:
        return {}
    without_pooler = {} if config.model_type == "electra" else {"add_pooling_layer": False}
    return {"attn_implementation": attention.NAME, **without_pooler}
