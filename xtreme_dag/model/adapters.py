"""LoRA adapters by peft: beside an encoder's layers while they train, then merged into it or stored by themselves."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import read_json
from xtreme_dag.model.weights import quiet

if TYPE_CHECKING:
    from xtreme_dag.model.encoder import PackedEncoder
    from xtreme_dag.study.train_recipe import Lora

ADAPTER = "adapter"  # the folder in a model folder, in place of `encoder`
# As peft names them, so that its `PeftModel.from_pretrained(base, folder)` takes the folder.
_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """A trained adapter.

    Attributes:
        config: its settings, as peft writes them.
        weights: its matrices by peft's names.
    """

    config: dict[str, Any]
    weights: dict[str, Tensor]

    def save(self, folder: Path) -> None:
        """Writes a folder that peft loads; equal adapters give equal bytes."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True)
        (folder / _CONFIG).write_text(json.dumps(self.config, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        save_file(self.weights, str(folder / _WEIGHTS))


def attach(encoder: PackedEncoder, lora: Lora, seed: int) -> Any:
    """Puts an adapter beside the encoder's layers; of the encoder nothing else trains from here on.

    Args:
        encoder: stays as it is where it stands, its layers inside those of peft.
        lora: what adapter.
        seed: of its first values, which depend on nothing else.

    Returns:
        Peft's model, for `detach`.

    Raises:
        UserError: peft is not installed, or the encoder has no such layers.
    """
    peft = _peft()
    targets = list(lora.targets) if isinstance(lora.targets, tuple) else lora.targets
    config = peft.LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets, bias="none"
    )
    try:
        with _silenced(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return peft.PeftModel(encoder.backbone, config)
    except ValueError as error:  # peft knows no targets of the architecture, or finds none of those that are named
        linear = {
            name.rpartition(".")[2] for name, part in encoder.backbone.named_modules() if type(part) is torch.nn.Linear
        }
        raise UserError(
            " ".join(str(error).split())[:200], where="recipe: lora.targets", fix=f"of {', '.join(sorted(linear))}"
        ) from None


def detach(encoder: PackedEncoder, tuned: Any) -> Adapter:
    """Merges an adapter into its encoder, which has its own layers again, and gives it by itself too."""
    peft = _peft()
    weights = {
        name: value.detach().cpu().contiguous().clone() for name, value in peft.get_peft_model_state_dict(tuned).items()
    }
    config = tuned.peft_config["default"].to_dict() | {"base_model_name_or_path": None, "inference_mode": True}
    plain = {name: sorted(value) if isinstance(value, set) else value for name, value in config.items()}
    _merge(encoder, tuned)
    return Adapter(config=plain, weights=dict(sorted(weights.items())))


def merge_saved(encoder: PackedEncoder, folder: Path) -> None:
    """Merges the adapter of a folder into an encoder, as `detach` does: to the bit the same.

    Raises:
        UserError: peft is not installed, or the adapter is not one of this encoder.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    peft = _peft()
    try:
        config = peft.LoraConfig(**read_json(folder / _CONFIG, what="the settings of an adapter"))
        stored = load_file(str(folder / _WEIGHTS))
        with _silenced():
            tuned = peft.PeftModel(encoder.backbone, config)
            wanted = peft.get_peft_model_state_dict(tuned)
            lacking = sorted(wanted.keys() ^ stored.keys())
            if lacking:
                raise ValueError(f"{lacking[0]} is not in both the adapter and the encoder's layers")
            peft.set_peft_model_state_dict(tuned, stored)
    except (OSError, SafetensorError, ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"the adapter does not fit its base model ({reason})", where=str(folder)) from None
    _merge(encoder, tuned)


def _merge(encoder: PackedEncoder, tuned: Any) -> None:
    with _silenced():
        encoder.backbone = tuned.merge_and_unload()


@contextmanager
def _silenced() -> Iterator[None]:
    """Without the lines for developers: peft 0.21 asks transformers 5 for an attribute by its former name."""
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _peft() -> Any:
    try:
        import peft
    except ImportError:
        raise UserError(
            "lora needs peft, which is not installed", where="recipe: lora", fix="install the extra `lora`"
        ) from None
    return peft
