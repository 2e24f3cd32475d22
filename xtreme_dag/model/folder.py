"""Model folders: an encoder, its tokenizer and named heads, all in safetensors."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.model import attention
from xtreme_dag.model.encoder import PACKABLE, PackedEncoder
from xtreme_dag.model.heads import HeadSpec, build_head, initialise
from xtreme_dag.model.packed import PackedTokens
from xtreme_dag.model.weights import Checkpoint, load_complete, load_config, modern, quiet
from xtreme_dag.tables.tokenizer import TextTokenizer, copy_tokenizer
from xtreme_dag.tables.tokenizer import load_tokenizer as _load_tokenizer

# Names of a masked language model's own output layers in published checkpoints (RoBERTa's and BERT's), and ours.
_MLM_NAMES = {
    "lm_head.dense.weight": "dense.weight",
    "lm_head.dense.bias": "dense.bias",
    "lm_head.layer_norm.weight": "norm.weight",
    "lm_head.layer_norm.bias": "norm.bias",
    "lm_head.bias": "bias",
    "cls.predictions.transform.dense.weight": "dense.weight",
    "cls.predictions.transform.dense.bias": "dense.bias",
    "cls.predictions.transform.LayerNorm.weight": "norm.weight",
    "cls.predictions.transform.LayerNorm.bias": "norm.bias",
    "cls.predictions.bias": "bias",
}
_MLM_PREFIXES = ("lm_head.", "cls.predictions.")
_LOG = logging.getLogger(__name__)


class TrainedModel(nn.Module):
    """One encoder and its named heads.

    Args:
        encoder: the encoder.
        specs: name -> what head.

    Attributes:
        encoder: hidden states of packed tokens: `model.encoder(tokens)`, `model.encoder.every_layer(tokens)`.
        heads: name -> module; `model.apply_head(name, hidden, tokens)` gives its scores.
    """

    def __init__(self, encoder: PackedEncoder, specs: Mapping[str, HeadSpec]) -> None:
        super().__init__()
        self.encoder = encoder
        self.specs: dict[str, HeadSpec] = {}
        self.heads = nn.ModuleDict()
        for name, spec in specs.items():
            self.add_head(name, spec)

    def add_head(self, name: str, spec: HeadSpec) -> nn.Module:
        """Adds (or replaces) a head; its weights are not initialised yet."""
        self.specs[name] = spec
        self.heads[name] = build_head(spec, self.encoder.config, self.encoder.word_embeddings())
        return self.heads[name]

    def drop_heads(self) -> None:
        """Forgets all heads."""
        self.specs.clear()
        self.heads = nn.ModuleDict()

    def apply_head(self, name: str, hidden: Tensor, tokens: PackedTokens, at: Tensor | None = None) -> Tensor:
        """Scores of a head over packed hidden states.

        Args:
            name: which head.
            hidden: `[tokens, hidden]`, what the encoder gave for `tokens`.
            tokens: the packed tokens.
            at: int64 positions of the tokens to score: the first pieces (tagging) or the masked tokens (mlm); all
                tokens when None.

        Returns:
            classification `[sequences, classes]`; multiple_choice `[sequences]`, one score per choice;
            tagging `[len(at), tags]`; span `[tokens, 2]`; mlm `[len(at), vocabulary]`; dual `[sequences, hidden]`.
        """
        head, kind = self._head(name), self.specs[name].kind
        if kind in ("classification", "dual", "multiple_choice"):
            return self._of_first(head, kind, hidden.index_select(0, tokens.first))
        if kind == "span":
            return _scores(head(hidden))
        return self._of_chosen(head, kind, hidden if at is None else hidden.index_select(0, at))

    def scores(self, name: str, tokens: PackedTokens, at: Tensor | None = None) -> Tensor:
        """Encoder and head in one, the last layer computed for no more tokens than the head reads.

        Args:
            name: which head.
            tokens: the packed tokens.
            at: as for `apply_head`.

        Returns:
            What `apply_head(name, encoder(tokens), tokens, at)` gives, to rounding.
        """
        head, kind = self._head(name), self.specs[name].kind
        if kind in ("classification", "dual", "multiple_choice"):
            return self._of_first(head, kind, self.encoder.first_states(tokens))
        if kind == "span":
            return _scores(head(self.encoder(tokens)))
        return self._of_chosen(head, kind, self.encoder(tokens, at))

    def _head(self, name: str) -> nn.Module:
        """A head by name."""
        if name not in self.heads:
            raise UserError(f"the model has no head {name!r}", fix=nearest(name, self.heads.keys()))
        return self.heads[name]

    def _of_first(self, head: nn.Module, kind: str, first: Tensor) -> Tensor:
        """Scores of a head that reads first tokens."""
        return _scores(head(first)).squeeze(-1) if kind == "multiple_choice" else _scores(head(first))

    def _of_chosen(self, head: nn.Module, kind: str, chosen: Tensor) -> Tensor:
        """Scores of a head that reads chosen tokens."""
        return _scores(head(chosen)) if kind == "tagging" else _scores(head(chosen, self.encoder.word_embeddings()))


def _scores(value: Any) -> Tensor:
    """What a head returned, as the tensor that it is."""
    scores: Tensor = value
    return scores


def load_model(
    folder: Path, *, device: str | torch.device = "cpu", log: Callable[[str], None] = _LOG.warning
) -> TrainedModel:
    """Loads a model folder, or a base model in Hugging Face's layout, in float32.

    Args:
        folder: an artifact with `encoder/` and heads, or a folder with `config.json` and `model.safetensors`.
        device: where the weights go.
        log: told of weights that are not used and of prefixes that are left out of their names.

    Returns:
        The model in evaluation mode. A base model has the heads that its checkpoint has: the MLM head, or none.

    Raises:
        UserError: no model there, only pickled weights, weights missing, or code of its own.
    """
    from safetensors.torch import load_file

    home = encoder_folder(folder)
    encoder, checkpoint = _load_encoder(home, log)
    model = TrainedModel(encoder, {})
    listed = folder / "heads.json"
    if listed.is_file():
        entries = json.loads(listed.read_text(encoding="utf-8"))
        # A bare encoder lists no heads and needs no file for them.
        stored = load_file(str(folder / "heads.safetensors")) if entries else {}
        for name, entry in entries.items():
            head = model.add_head(name, HeadSpec.from_json(entry))
            head.load_state_dict({key[len(name) + 1 :]: value for key, value in stored.items() if _of(key, name)})
    else:
        _adopt_mlm_head(model, checkpoint)
    return model.to(device).eval()


def load_tokenizer(folder: Path) -> TextTokenizer:
    """The tokenizer of a model folder."""
    return _load_tokenizer(folder)


def save_model(model: TrainedModel, folder: Path, *, tokenizer_from: Path) -> None:
    """Writes `encoder/`, `tokenizer/`, `heads.json` and `heads.safetensors`; equal weights give equal bytes.

    Args:
        model: what to write.
        folder: where, created if missing.
        tokenizer_from: the model or tokenizer folder whose tokenizer goes with it.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
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
            fix=f"convert them, if you trust them: xtreme-dag model convert {folder} OUT"
            if pickled
            else "if it was published with pickled weights (*.bin), get those and: xtreme-dag model convert FOLDER OUT",
        )
    return home


def _load_encoder(home: Path, log: Callable[[str], None]) -> tuple[PackedEncoder, Checkpoint]:
    """The encoder of a folder, without a pooling layer, in float32, and where its weights came from."""
    from transformers import AutoModel

    config = load_config(home)
    model, checkpoint = load_complete(AutoModel, home, config, log=log, used=_MLM_PREFIXES, **_construction(config))
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


def _adopt_mlm_head(model: TrainedModel, checkpoint: Checkpoint) -> None:
    """Takes the masked language model's own output layers from a base model's checkpoint, if they are there.

    Raises:
        UserError: some of them are there and others are not.
    """
    tensors = checkpoint.tensors(lambda name: modern(name) in _MLM_NAMES)
    found = {_MLM_NAMES[modern(name)]: tensor.float() for name, tensor in tensors.items()}
    if not found:
        return
    if missing := sorted(set(_MLM_NAMES.values()) - set(found)):
        raise UserError(
            f"the checkpoint has a part of a masked language modelling head and lacks its {', '.join(missing)}",
            where=checkpoint.where,
            fix="take all of the head's weights, or none of them",
        )
    head = model.add_head("mlm", HeadSpec(kind="mlm"))
    initialise(head, 0.0, 0)
    head.load_state_dict(found)


def _of(key: str, name: str) -> bool:
    """Whether a tensor belongs to a head."""
    return key.startswith(f"{name}.")
