"""Load an encoder from a folder in safetensors, or make a new one from a configuration."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from xtreme_dag.core.errors import UserError
from xtreme_dag.model import attention
from xtreme_dag.model.encoder import PACKABLE, PADDED, PackedEncoder
from xtreme_dag.model.masked import OwnScores, masked_class
from xtreme_dag.model.packed import pack
from xtreme_dag.model.weights import Checkpoint, load_complete, load_config

# Encoders with a decoder whose encoder transformers has as a class of its own.
_ENCODER_HALVES = frozenset({"mt5", "t5", "umt5"})
# Packed encoders that never have a pooling layer, and whose constructors do not know of one.
_WITHOUT_POOLER = frozenset({"distilbert", "electra", "eurobert", "modernbert"})
# Single precision rounds the states of a sequence in company to within this of those alone (measured: 1e-6).
_ROUNDING = 1e-3
_MANY_LAYERS = 1000


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
    folder: Path, *, log: Callable[[str], None], with_head: bool = True, device: str = "cpu"
) -> tuple[PackedEncoder, OwnScores | None]:
    """The encoder of a folder, without a pooling layer, in float32, and its masked language model's head.

    Args:
        folder: folder of the encoder.
        log: told of weights that are not used and of prefixes that are left out of their names.
        with_head: whether to look for the head.
        device: `meta` for a trial that reads no weights.

    Returns:
        The encoder, and the output layers that the checkpoint has; None if it has none.

    Raises:
        UserError: transformers has no encoder of the architecture, or weights are missing.
    """
    config = load_config(folder)
    masked = masked_class(config) if with_head else None
    where = str(folder / "config.json")
    layers = getattr(config, "num_hidden_layers", 1)
    if layers < 1:
        raise UserError("an encoder without layers", where=where)
    # transformers would make them all, for hours, before it looks for their weights.
    if layers > _MANY_LAYERS and layers > (weights := len(Checkpoint(folder).keys)):
        raise UserError(f"num_hidden_layers is larger than the number of weights ({weights})", where=where)
    if masked is None:
        kind = encoder_class(config, where)
        model, _ = load_complete(kind, folder, config, log=log, device=device, **construction(config))
        return _measured(PackedEncoder(_with_table(model, where)), where, device), None
    if any("lm_predictions." in key for key in Checkpoint(folder).keys):
        config.legacy = False  # DeBERTa's own head, which transformers has beside an older one of its own
    _refuse_foreign(config, where)
    base = f"{masked.base_model_prefix}."
    model, absent = load_complete(
        masked,
        folder,
        config,
        log=log,
        optional=lambda name: not name.startswith(base),
        device=device,
        **construction(config, pooled=True),
    )
    encoder: Any = _with_table(model.base_model, where)
    layers = {name: value for name, value in model.named_parameters() if not name.startswith(base)}
    decoder = model.get_output_embeddings().weight  # where it is tied, the checkpoint need not have it
    needed = {name for name, value in layers.items() if value is not decoder} or set(layers)
    head = OwnScores(model)
    if needed <= set(absent):
        return _measured(PackedEncoder(encoder), where, device), None
    if not head.tied:
        encoder.config.tie_word_embeddings = False
    partly = [
        name for name in absent if not (name.endswith(".decoder.bias") and head.share_bias(name[: -len(".bias")]))
    ]
    if partly:
        raise UserError(
            f"the checkpoint has a part of its mlm head and lacks its {', '.join(partly)}",
            where=Checkpoint(folder).where,
            fix="take all of the head's weights, or none of them",
        )
    return _measured(PackedEncoder(encoder), where, device), head


def new_encoder(config: Any, seed: int) -> PackedEncoder:
    """A randomly initialised encoder; a pure function of its configuration and the seed."""
    build: Any = encoder_class(config, config.model_type)._from_config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PackedEncoder(build(deepcopy(config), **construction(config)))


def encoder_class(config: Any, where: str) -> Any:
    """Transformers' class of the encoder of an architecture.

    Raises:
        UserError: the architecture is a decoder, or its encoder has no class of its own.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING, MODEL_MAPPING

    _refuse_foreign(config, where)
    encoders: Any = MODEL_FOR_TEXT_ENCODING_MAPPING if config.model_type in _ENCODER_HALVES else MODEL_MAPPING
    return encoders[type(config)]


def _refuse_foreign(config: Any, where: str) -> None:
    """Raises for an architecture that is no encoder of text by itself."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_MASKED_LM_MAPPING,
        MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
        MODEL_MAPPING,
    )

    kind, name = type(config), config.model_type
    what = ""
    if name in _ENCODER_HALVES:
        return
    if getattr(config, "is_encoder_decoder", False):
        what = f"{name} is an encoder with a decoder, and transformers has no class of its encoder alone"
    elif kind not in MODEL_MAPPING:
        what = f"transformers has no encoder for {name}"
    elif kind not in MODEL_FOR_MASKED_LM_MAPPING:
        if kind in MODEL_FOR_CAUSAL_LM_MAPPING:
            what = f"{name} is a decoder: its tokens do not see what follows them"
        elif kind not in MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING:
            what = f"{name} is no encoder of text"
    if what:
        raise UserError(what, where=where, fix="take an encoder; docs/training.md lists those that were tried")


def _with_table(model: Any, where: str) -> Any:
    """The model, if it has a table of word embeddings."""
    try:
        table = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        table = None
    if not isinstance(table, nn.Embedding):
        what = f"{model.config.model_type} has no table of word embeddings: it reads characters or bytes"
        raise UserError(what, where=where, fix="take an encoder of word pieces; docs/training.md lists some")
    return model


def construction(config: Any, *, pooled: bool = False) -> dict[str, Any]:
    """How a model is built: packed attention and no pooling layer, where it has such.

    Args:
        config: its configuration.
        pooled: whether its class decides itself about a pooling layer.
    """
    attention.register()
    if config.model_type not in PACKABLE:
        return {}
    without_pooler = {} if pooled or config.model_type in _WITHOUT_POOLER else {"add_pooling_layer": False}
    return {"attn_implementation": attention.NAME, **without_pooler}


def _measured(encoder: PackedEncoder, where: str, device: str) -> PackedEncoder:
    """The encoder; for one that is neither packed nor known, after a look at what padding does to it.

    Raises:
        UserError: transformers cannot run it, or it does not give the same twice.
    """
    if device == "meta" or encoder.packs or encoder.config.model_type in PADDED:
        return encoder
    name = encoder.config.model_type
    random = torch.Generator().manual_seed(0)
    rows = len(encoder.word_embeddings())
    long, short = (torch.randint(min(5, rows - 1), rows, (size,), generator=random).tolist() for size in (40, 35))
    before = encoder.training
    try:
        with torch.inference_mode():
            alone, again = (encoder.eval()(pack([short])) for _ in range(2))
            company = encoder(pack([long, short]))[len(long) :]
    except Exception as error:  # whatever an architecture that was never tried may raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"transformers cannot run {name} as an encoder of text ({reason})", where=where) from None
    finally:
        encoder.train(before)
    if not torch.allclose(alone, again, atol=_ROUNDING, rtol=_ROUNDING):
        raise UserError(
            f"{name} does not give the same states twice: chance is in it even where nothing is dropped", where=where
        )
    if not torch.allclose(alone, company, atol=_ROUNDING, rtol=_ROUNDING):
        encoder.share = 1.0
    return encoder
