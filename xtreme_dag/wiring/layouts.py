"""Whether a model folder has all weights of its architecture, from their names and shapes, without torch or transformers.

`layouts.json` says how one version of transformers lays out the weights of many architectures; `python -m bench.layouts`
records it. Where this module is not sure (another version, an architecture or a setting that was not recorded, names of
an older time or with a prefix), it says nothing, and the loading itself has to be tried: `model.trial`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

from xtreme_dag.engine.keys import library_version

Shapes = Mapping[str, tuple[int, ...]]

FILE = Path(__file__).with_name("layouts.json")
# Settings on which neither names nor shapes of weights depend.
HARMLESS = re.compile(
    r"^(_name_or_path|architectures|attention_probs_dropout_prob|auto_map|dtype|finetuning_task|gradient_checkpointing"
    r"|directionality|global_attn_every_n_layers|hidden_act|id2label|label2id|layer_types|local_attention|model_type|norm_eps"
    r"|output_(attentions|hidden_states|past)|problem_type|return_dict"
    r"|tokenizer_class|torch_dtype|transformers_version|use_cache)$|dropout|_token_ids?$|^(initializer|layer_norm_eps|pooler_)"
)
# Settings of older files, with the only value that transformers still builds.
_OLDER = {"position_embedding_type": "absolute", "tie_weights_": True}
_SHOWN = 3


def verdict(folder: Path, config: Mapping[str, Any], weights: Mapping[Path, Shapes]) -> dict[str, Any] | None:
    """What loading a folder would say of its weights.

    Args:
        folder: of the encoder.
        config: what is in its config.json.
        weights: the safetensors files that are loaded, with the shapes of their tensors.

    Returns:
        `error`, `lines`, `rows` and `head` as of `model.trial.trial`; None where only the loading itself can say.
    """
    layout = _layouts().get(str(config.get("model_type")))
    if layout is None or "auto_map" in config or (sizes := _sizes(layout, config)) is None:
        return None
    wanted, base = _wanted(layout, sizes), f"{layout['base']}."
    stored = {name: shape for shapes in weights.values() for name, shape in shapes.items()}
    bare = not any(name.startswith(base) for name in stored)
    found = {base + name if bare and base + name in wanted else name: shape for name, shape in stored.items()}
    head = {name for name in wanted if not name.startswith(base)}
    absent = [name for name in wanted if name not in found]
    needed = [name for name in absent if name not in head]
    foreign = [name for name in found if name not in wanted and name not in layout["ignored"] and "pooler." not in name]
    wrong = [name for name in wanted if name in found and found[name] != wanted[name]]
    half_a_head = head & set(absent) and not head <= set(absent)
    if foreign or half_a_head or wrong or (needed and not (layout["current"] and _all_differ(layout, sizes))):
        return None
    if needed:
        # The names of the encoder alone, as the loading has them.
        names = sorted(name.removeprefix(base) for name in needed)
        total = layout["total"][0] + layout["total"][1] * (sizes.get(layout["layers"], 3) - 3)
        what = f"{len(names)} of the {total} weights of the model are missing: {', '.join(names[:_SHOWN])}"
        where = next(iter(weights)) if len(weights) == 1 else folder / "model.safetensors.index.json"
        error = {
            "what": what + (", ..." if len(names) > _SHOWN else ""),
            "where": str(where),
            "fix": "config.json and the weights must be of one model: the same architecture, as many layers",
        }
        return {"error": error, "lines": []}
    has_head = bool(head) and not head <= set(absent)
    return {"error": None, "lines": [], "rows": found[layout["table"]][0], "head": has_head}


@cache
def _layouts() -> Mapping[str, Any]:
    """The layouts that hold for the version of transformers that is installed."""
    recorded = json.loads(FILE.read_text(encoding="utf-8"))
    same = recorded["transformers"] == library_version("transformers")
    return dict(recorded["architectures"]) if same else {}


def _sizes(layout: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, int] | None:
    """The numbers on which shapes depend; None where a setting is another than was recorded."""
    sizes = {key: config.get(key, default) for key, default in layout["sizes"].items()}
    if not all(type(size) is int and size > 0 for size in sizes.values()):
        return None
    others = {key: value for key, value in config.items() if key not in sizes and not HARMLESS.search(key)}
    values = layout["values"] | _OLDER
    # An absent setting has the value of transformers' default.
    known = all(key in values and values[key] == value for key, value in others.items())
    return sizes if known and all(key in others for key in layout["said"]) else None


def _wanted(layout: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all weights but those that are tied to others."""
    found = {}
    for name, rules in layout["weights"].items():
        shape = tuple(factor * prod(sizes[key] for key in keys) + added for factor, keys, added in rules)
        numbers = range(1, sizes[layout["layers"]]) if "{}" in name and layout["layers"] else range(1, 2)
        found.update({name.format(number): shape for number in numbers})
    return found


def _all_differ(layout: Mapping[str, Any], sizes: Mapping[str, int]) -> bool:
    """Whether no two sizes are equal, as where they were recorded: some layers are there only between unequal ones."""
    used = {key for rules in layout["weights"].values() for _factor, keys, _added in rules for key in keys}
    return len({sizes[key] for key in used}) == len(used)
