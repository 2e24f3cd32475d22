"""Encoders: from a folder, in safetensors, or new from a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from xtreme_dag.core.errors import UserError
from xtreme_dag.model import attention
from xtreme_dag.model.encoder import PACKABLE, PackedEncoder


def encoder_folder(folder: Path) -> Path:
    """Where the encoder of a model folder lies; an error if there is none that can be loaded safely."""
    home = folder / "encoder" if (folder / "encoder").is_dir() else folder
    if not (home / "config.json").is_file():
        raise UserError("there is no model in this folder (no config.json)", where=str(folder))
    if not any(home.glob("*.safetensors")):
        pickled = sorted(path.name for path in home.glob("*.bin"))
        raise UserError(
            f"the model has only pickled weights ({', '.join(pickled)})" if pickled else "the model has no weights",
            where=str(folder),
            fix="convert them yourself, if you trust them: AutoModel.from_pretrained(folder).save_pretrained(new)",
        )
    return home


def load_encoder(home: Path) -> PackedEncoder:
    """The encoder of a folder, without a pooling layer, in float32."""
    from transformers import AutoConfig

    return PackedEncoder(_from_pretrained(home, AutoConfig.from_pretrained(str(home), local_files_only=True)))


def new_encoder(config: Any, seed: int) -> PackedEncoder:
    """A randomly initialised encoder; a pure function of its configuration and the seed."""
    from transformers import AutoModel

    build: Any = AutoModel.from_config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PackedEncoder(build(deepcopy(config), **_construction(config)))


def _from_pretrained(home: Path, config: Any) -> nn.Module:
    """Transformers' own loading, quiet and offline, from safetensors only."""
    from transformers import AutoModel

    with quiet():
        backbone: nn.Module = AutoModel.from_pretrained(
            str(home),
            config=config,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            **_construction(config),
        )
    return backbone


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' progress bars and load reports (a base model's unused head is no news)."""
    from transformers.utils import logging

    talk: Any = logging
    before = talk.get_verbosity()
    talk.set_verbosity_error()
    talk.disable_progress_bar()
    try:
        yield
    finally:
        talk.set_verbosity(before)


def _construction(config: Any) -> dict[str, Any]:
    """How the encoder of a configuration is built: packed attention and no pooling layer, where it has such."""
    attention.register()
    if config.model_type not in PACKABLE:
        return {}
    without_pooler = {} if config.model_type == "electra" else {"add_pooling_layer": False}
    return {"attn_implementation": attention.NAME, **without_pooler}
