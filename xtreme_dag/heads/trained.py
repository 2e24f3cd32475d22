"""Model folders: an encoder, its tokenizer and named heads, all in safetensors."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.files import read_json
from xtreme_dag.heads import TEXT_HEAD, HeadSpec, head_of, training_of
from xtreme_dag.model.adapters import ADAPTER, Adapter, merge_saved
from xtreme_dag.model.encoder import PackedEncoder
from xtreme_dag.model.folder import encoder_folder, load_encoder
from xtreme_dag.model.layers import HeadModule
from xtreme_dag.model.packed import PackedTokens
from xtreme_dag.model.weights import quiet
from xtreme_dag.tables.tokenizer_files import copy_tokenizer

_LOG = logging.getLogger(__name__)


class TrainedModel(nn.Module):
    """One encoder and its named heads.

    Args:
        encoder: the encoder.
        specs: name -> what head.

    Attributes:
        encoder: hidden states of packed tokens: `model.encoder(tokens)`, `model.encoder.every_layer(tokens)`.
        heads: name -> layers; `model.scores(name, tokens)` gives their scores.
    """

    def __init__(self, encoder: PackedEncoder, specs: Mapping[str, HeadSpec]) -> None:
        super().__init__()
        self.encoder = encoder
        self.specs: dict[str, HeadSpec] = {}
        self.heads = nn.ModuleDict()
        for name, spec in specs.items():
            self.add_head(name, spec)

    def add_head(self, name: str, spec: HeadSpec, layers: HeadModule | None = None) -> HeadModule:
        """Adds (or replaces) a head: these layers, or new ones whose weights are not initialised yet."""
        head = layers or build_head(spec, self.encoder.config, self.encoder.word_embeddings())
        self.specs[name], self.heads[name] = spec, head
        return head

    def drop_heads(self) -> None:
        """Forgets all heads."""
        self.specs.clear()
        self.heads = nn.ModuleDict()

    def head(self, name: str) -> HeadModule:
        """The layers of a head.

        Raises:
            UserError: the model has no such head.
        """
        if name not in self.heads:
            raise UserError(f"the model has no head {name!r}", fix=nearest(name, self.heads.keys()))
        return cast(HeadModule, self.heads[name])

    def scores(self, name: str, tokens: PackedTokens, at: Tensor | None = None) -> Tensor:
        """Encoder and head in one, the last layer computed for no more tokens than the head reads.

        Args:
            name: which head.
            tokens: the packed tokens.
            at: int64 positions of the tokens to score, for heads that read chosen ones: the first pieces (tagging) or
                the masked tokens (mlm); all tokens when None.

        Returns:
            classification `[sequences, classes]`; multiple_choice `[sequences]`, one score per choice;
            tagging `[len(at), tags]`; span `[tokens, 2]`; mlm `[len(at), vocabulary]`; dual `[sequences, hidden]`;
            slot_values `[sequences, slots, classes]`.
        """
        head = self.head(name)
        if head.reads == "first":
            states = self.encoder.first_states(tokens)
        else:
            states = self.encoder(tokens, at) if head.reads == "chosen" else self.encoder(tokens)
        if head.reads == "sequences":
            return cast(Tensor, head(states, tokens.bounds))
        return head.scores(states, self.encoder.word_embeddings())


def build_head(spec: HeadSpec, config: Any, embeddings: Tensor) -> HeadModule:
    """The uninitialised layers of a head for an encoder.

    Args:
        spec: what head.
        config: the encoder's configuration.
        embeddings: its input embedding table `[vocabulary, size]`.

    Raises:
        UserError: an unknown head, or no labels where it needs them.
    """
    if head_of(spec.kind).labels and len(spec.labels) < 2:
        raise UserError(f"a {spec.kind} head needs at least two labels, it was given {list(spec.labels)}")
    return cast(HeadModule, training_of(spec.kind).build(spec, config, embeddings))


def bases_of(inputs: Mapping[str, Path]) -> tuple[Path, ...]:
    """What the input `model` of a stage stands on, if that is an adapter: `base/1`, and what that stands on, ..."""
    names = (f"base/{number}" for number in range(1, len(inputs) + 1))
    return tuple(inputs[name] for name in names if name in inputs)


def load_model(
    folder: Path,
    *,
    bases: Sequence[Path] = (),
    device: str | torch.device = "cpu",
    log: Callable[[str], None] = _LOG.warning,
) -> TrainedModel:
    """Loads a model folder, or a base model in Hugging Face's layout, in float32.

    Args:
        folder: an artifact with `encoder/` and heads, one with `adapter/` and heads, or a folder with `config.json` and
            `model.safetensors`.
        bases: the folder of the model that an adapter was trained beside, then what that itself stands on.
        device: where the weights go.
        log: told of weights that are not used and of prefixes that are left out of their names.

    Returns:
        The model in evaluation mode. A base model has the heads that its checkpoint has: the MLM head, or none.

    Raises:
        UserError: no model there, only pickled weights, weights missing, code of its own, or an adapter without its base.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    listed = folder / "heads.json"
    if (folder / ADAPTER).is_dir():
        if not bases:
            raise UserError("the folder has an adapter, and its base model is not named", where=str(folder))
        encoder, own = load_model(bases[0], bases=bases[1:], log=log).encoder, None
        merge_saved(encoder, folder / ADAPTER)
    else:
        encoder, own = load_encoder(encoder_folder(folder), log=log, with_head=not listed.is_file())
    model = TrainedModel(encoder, {})
    if listed.is_file():
        entries = _listed_heads(listed)
        # A bare encoder lists no heads and needs no file for them.
        weights = folder / "heads.safetensors"
        try:
            stored = load_file(str(weights)) if entries else {}
        except (OSError, SafetensorError) as error:
            raise UserError(f"the weights cannot be read ({error})", where=str(weights)) from None
        for name, entry in entries.items():
            named = {key[len(name) + 1 :]: value for key, value in stored.items() if key.startswith(f"{name}.")}
            try:
                model.add_head(name, entry).load_state_dict(named)
            except UserError as error:
                raise UserError(error.what, where=str(listed), fix=error.fix) from None
            except (RuntimeError, KeyError, TypeError) as error:  # a name that torch does not allow, or other weights
                reason = " ".join(str(error).split())
                raise UserError(f"its head {name!r} does not fit ({reason})", where=str(folder)) from None
    elif own is not None:
        model.add_head(TEXT_HEAD, HeadSpec(kind=TEXT_HEAD), own)
    return model.to(device).eval()


def _listed_heads(path: Path) -> dict[str, HeadSpec]:
    """Name -> what head, of a file `heads.json`.

    Raises:
        UserError: it is no such file.
    """
    found = {}
    for name, entry in read_json(path, what="a mapping of heads").items():
        kind, labels = (entry.get("kind"), entry.get("labels") or []) if isinstance(entry, dict) else (None, [])
        whole = isinstance(kind, str) and isinstance(labels, list) and all(isinstance(label, str) for label in labels)
        if not whole:
            raise UserError(f"its head {name!r} has no kind or no labels", where=str(path))
        found[name] = HeadSpec.from_json(entry)
    return found


def save_model(model: TrainedModel, folder: Path, *, tokenizer_from: Path, adapter: Adapter | None = None) -> None:
    """Writes `encoder/`, `tokenizer/`, `heads.json` and `heads.safetensors`; equal weights give equal bytes.

    Args:
        model: what to write.
        folder: where, created if missing.
        tokenizer_from: the model or tokenizer folder whose tokenizer goes with it.
        adapter: is written as `adapter/` in place of the encoder.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    if adapter is not None:
        adapter.save(folder / ADAPTER)
    else:
        backbone: Any = model.encoder.backbone
        with quiet():
            backbone.save_pretrained(str(folder / "encoder"))
    copy_tokenizer(tokenizer_from, folder / "tokenizer")
    entries = {
        name: {"kind": spec.kind, "labels": list(spec.labels), "hidden_size": model.encoder.hidden_size}
        for name, spec in sorted(model.specs.items())
    }
    (folder / "heads.json").write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    weights = {key: value.detach().cpu().contiguous() for key, value in sorted(model.heads.state_dict().items())}
    save_file(weights, str(folder / "heads.safetensors"))
