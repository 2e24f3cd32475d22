"""Records how transformers lays out the weights of every architecture of the zoo: `python -m bench.layouts`.

Writes `xtreme_dag/wiring/layouts.json`, with which the pre-flight of a model knows names and shapes without importing
torch. Each architecture is built in three sizes; a length of a weight that no rule of one or two numbers of the
configuration explains in all three leaves its architecture out, and the pre-flight then loads it without its weights.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from itertools import combinations_with_replacement
from math import prod
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from tests.model import zoo
from xtreme_dag.core.files import write_atomically
from xtreme_dag.model.folder import construction
from xtreme_dag.model.masked import masked_class
from xtreme_dag.model.weights import load_complete, quiet
from xtreme_dag.wiring.layouts import FILE, HARMLESS

# Sizes in three models, all different in each, so that no two rules explain the same lengths.
_WIDTHS, _HEADS, _LAYERS = (48, 72, 112), (6, 9, 14), (3, 4, 5)
_SIZES: dict[str, tuple[int, int, int]] = {
    "vocab_size": (1009, 1013, 1019), "max_position_embeddings": (131, 137, 139), "type_vocab_size": (3, 5, 7),
    "embedding_size": (20, 28, 44), "input_embedding_size": (20, 28, 44), "output_embedding_size": (36, 52, 60),
    "position_buckets": (17, 19, 23), "d_kv": (8, 8, 8), "relative_attention_num_buckets": (29, 31, 37),
    **dict.fromkeys(("hidden_size", "dim", "emb_dim", "d_model"), _WIDTHS),
    **dict.fromkeys(("num_attention_heads", "n_heads", "num_heads", "num_key_value_heads"), _HEADS),
    **dict.fromkeys(("num_hidden_layers", "n_layers", "num_layers"), _LAYERS),
    **dict.fromkeys(("intermediate_size", "hidden_dim", "d_ff"), (64, 80, 176)),
}  # fmt: skip
_COUNTS = ("num_hidden_layers", "n_layers", "num_layers")
_LAYER = re.compile(r"^(\D*\.)[1-9]\d*(?=\.)")  # the number of a layer behind the first
_TRIED = 3


def layout_of(name: str) -> dict[str, Any] | None:
    """The layout of an architecture, as `wiring.layouts` reads it; None where no rule explains it, or without a head."""
    if masked_class(zoo.config_of(name)) is None:
        return None
    default = AutoConfig.for_model(name).to_dict()
    given = zoo.ENCODERS[name]
    keys = [key for key in _SIZES if key in default and (default[key] not in (None, 0) or key in given)]
    keys = [key for key in keys if given.get(key) != 0]
    models = [_Model(name, {key: _SIZES[key][at] for key in keys}) for at in range(_TRIED)]
    count = next((key for key in keys if key in _COUNTS), None)
    first = models[0]
    once = {weight for weight in first.saved if not _LAYER.search(weight)}
    again = {_LAYER.sub(r"\1{}", weight) for weight in first.saved if _LAYER.search(weight)}
    rules: dict[str, Any] = {}
    for weight in sorted(once | again):
        shapes = [shape for model in models if (shape := model.saved.get(weight.format(1))) is not None]
        whole = len(shapes) == len(models)
        found = [_rule(lengths, keys) for lengths in zip(*shapes, strict=True)] if whole else [None]
        if None in found:
            return None
        rules[weight] = found
    for model, layers in zip(models, _LAYERS, strict=True):
        wanted = once | {weight.format(number) for weight in again for number in range(1, layers if count else 2)}
        if wanted != set(model.saved):
            return None
    values = {key: value for key, value in first.config.items() if key not in keys and not HARMLESS.search(key)}
    return {
        "base": first.base,
        "table": first.table,
        "layers": count,
        "current": first.current,
        "total": [len(models[0].state), len(models[1].state) - len(models[0].state)],
        "sizes": {key: default[key] for key in keys},
        "values": values,
        "said": sorted(key for key, value in values.items() if key not in default or default[key] != value),
        "ignored": first.ignored,
        "weights": rules,
    }


class _Model:
    """An architecture in one size: what it saves, and what it wants.

    Attributes:
        saved: shapes by name, as saved, without what is tied to something else.
        state: names in the model that is loaded.
    """

    def __init__(self, name: str, sizes: dict[str, int]) -> None:
        # Without the zoo's sizes: of some architectures they are other names of the same settings.
        config = AutoConfig.for_model(name, **{**zoo.ENCODERS[name], "pad_token_id": 1, **sizes})
        kind = masked_class(config)
        torch.manual_seed(0)
        model = kind._from_config(config, **construction(config, pooled=True))
        self.base: str = model.base_model_prefix
        self.state = set(model.state_dict())
        buffers = {key: value for key, value in model.named_buffers() if key not in self.state}
        table = model.get_input_embeddings().weight
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            model.save_pretrained(place)
            self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
            weights = load_file(folder / "model.safetensors")
            self.saved = {key: tuple(value.shape) for key, value in weights.items()}
            said: dict[str, list[str]] = {key: [] for key in buffers}
            for key, lines in said.items():
                save_file(
                    weights | {key: buffers[key].clone()}, folder / "model.safetensors", metadata={"format": "pt"}
                )
                load_complete(kind, folder, config, log=lines.append, **construction(config, pooled=True))
        self.table = next(
            key for key, value in weights.items() if value.shape == table.shape and torch.equal(value, table)
        )
        self.current = set(self.saved) <= self.state
        self.ignored = sorted(key for key, lines in said.items() if not lines)


def _rule(lengths: tuple[int, ...], keys: list[str]) -> Any:
    """A length as (factor, keys, summand) that holds in all sizes, the simplest; None if there is none."""
    if len(set(lengths)) == 1:
        return [lengths[0], [], 0]
    for names in _products(keys):
        values = [prod(_SIZES[key][at] for key in names) for at in range(_TRIED)]
        for factor in (1, 2, 3):
            rest = {length - factor * value for length, value in zip(lengths, values, strict=True)}
            if len(rest) == 1 and abs(added := rest.pop()) <= 2:
                return [factor, list(names), added]
    return None


def _products(keys: list[str]) -> Iterator[tuple[str, ...]]:
    yield from ((key,) for key in keys)
    yield from combinations_with_replacement(keys, 2)


def layouts(names: list[str] | None = None) -> dict[str, Any]:
    """All layouts that could be recorded."""
    with quiet():
        found = {name: layout_of(name) for name in names or list(zoo.ENCODERS)}
    return {
        "transformers": transformers.__version__,
        "architectures": {name: layout for name, layout in found.items() if layout},
    }


def main() -> None:
    found = layouts()
    lines = [
        f" {json.dumps(name)}: {json.dumps(layout, separators=(',', ':'))}"
        for name, layout in found["architectures"].items()
    ]
    head = f'{{"transformers": {json.dumps(found["transformers"])}, "architectures": {{\n'
    write_atomically(FILE, head + ",\n".join(lines) + "\n}}\n")
    print(
        f"{len(lines)} of {len(zoo.ENCODERS)} architectures; not",
        sorted(set(zoo.ENCODERS) - set(found["architectures"])),
    )


if __name__ == "__main__":
    main()
