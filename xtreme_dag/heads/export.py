"""A head and its encoder as a model of transformers, or as an encoder with the head's weights beside it.

What is written is loaded again and has to give the scores of the original, on random tokens, before it counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.folders import new_folder
from xtreme_dag.heads import Export, HeadSpec, export_of
from xtreme_dag.heads.trained import TrainedModel, load_model
from xtreme_dag.model import pack
from xtreme_dag.model.adapters import ADAPTER
from xtreme_dag.model.weights import quiet
from xtreme_dag.tables.tokenizer import TextTokenizer
from xtreme_dag.tables.tokenizer_files import copy_tokenizer, load_tokenizer

# The largest difference of scores, as a share of the largest score, that rounding can explain.
CARD = "README.md"  # the hub shows it as the page of the model
_TOLERANCE = 1e-4
_PROBES = (3, 9, 16)  # tokens of the random sequences that the two models are compared on
HEAD_FILE = "head.safetensors"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written.

    Attributes:
        head: name of the head in the model; empty for an encoder alone.
        kind: its kind.
        labels: its labels.
        class_name: the class of transformers; that of the encoder alone where there is none for the head.
        pipeline: name of transformers' pipeline; empty where it has none.
        usage: lines of Python that use it, from a folder in the variable `folder`.
        largest_difference: of a score on random tokens, against the original.
        parameters: number of weights.
        merged: whether the folder had an adapter, which is merged into its base model here.
    """

    head: str
    kind: str
    labels: tuple[str, ...]
    class_name: str
    pipeline: str
    usage: str
    largest_difference: float
    parameters: int
    merged: bool = False


def export_model(
    folder: Path,
    out: Path,
    *,
    bases: Sequence[Path] = (),
    head: str | None = None,
    max_length: int | None = None,
    card: Callable[[Exported], str] | None = None,
) -> Exported:
    """Writes a folder that transformers loads by itself: configuration, safetensors, tokenizer.

    Args:
        folder: a model folder.
        out: a folder that does not exist yet, or is empty.
        bases: what the model stands on, if it is an adapter; see `load_model`.
        head: which head, by name; not needed where there is one only.
        max_length: tokens that inputs are cut to by `truncation=True`; the encoder's limit by default.
        card: what was written -> the text of `README.md`.

    Raises:
        UserError: no such head, or several and none named; `out` has files; the written model does not give the scores
            of the original.
    """
    model = load_model(folder, bases=bases)
    name = _head_name(model, head, folder)
    with new_folder(out) as unfinished:
        tokenizer = load_tokenizer(folder)
        _write_tokenizer(folder, unfinished, tokenizer, model, max_length)
        if not name:
            exported = _write_encoder(model, unfinished, "", None)
        else:
            declared = export_of(model.specs[name].kind)
            exported = (declared and _write_class(model, unfinished, name, declared)) or _write_encoder(
                model, unfinished, name, declared
            )
        exported = replace(exported, merged=(folder / ADAPTER).is_dir())
        if card is not None:
            (unfinished / CARD).write_text(card(exported), encoding="utf-8")
    return exported


def _head_name(model: TrainedModel, head: str | None, folder: Path) -> str:
    names = list(model.specs)
    if head is not None and head not in names:
        raise UserError(f"the model has no head {head!r}", where=str(folder), fix=nearest(head, names))
    if head is None and len(names) > 1:
        raise UserError(f"the model has {len(names)} heads", where=str(folder), fix=f"name one with --head: {', '.join(names)}")  # fmt: skip
    return head or (names[0] if names else "")


def _write_class(model: TrainedModel, out: Path, name: str, declared: Export) -> Exported | None:
    """The head as transformers' own class; None where it has none for it, or one that computes something else."""
    made = _of_class(model, name, declared)
    if made is None:
        return None
    difference = _difference(model, name, made)
    if difference > _TOLERANCE:  # another activation, another pooling
        return None
    with quiet():
        made.save_pretrained(str(out))
        again = type(made).from_pretrained(
            str(out), local_files_only=True, trust_remote_code=False, dtype=torch.float32
        )
    difference = _difference(model, name, again.eval())
    if difference > _TOLERANCE:
        raise UserError(f"the written model's scores differ by {difference:.2g}", where=str(out))
    return _exported(
        model,
        name,
        class_name=f"AutoModelFor{declared.task}",
        pipeline=declared.pipeline,
        usage=_usage(declared),
        difference=difference,
    )


def _of_class(model: TrainedModel, name: str, declared: Export) -> Any:
    """The head's class with all weights, or None."""
    import transformers

    auto = getattr(transformers, f"AutoModelFor{declared.task}", None) if declared.task else None
    config = _plain_config(model, model.specs[name])
    if auto is None or type(config) not in auto._model_mapping:
        return None
    with quiet(), torch.random.fork_rng(devices=[]):
        made: Any = auto.from_config(config, trust_remote_code=False)
    base = made.base_model_prefix
    layers = model.head(name).state_dict()
    encoder = {f"{base}.{key}": value for key, value in model.encoder.backbone.state_dict().items()}
    wanted = made.state_dict()
    for names in declared.names:
        renamed = {_renamed(key, names, base): value for key, value in layers.items()}
        found = encoder | {key: value for key, value in renamed.items() if key}
        fits = "" not in renamed and all(
            key in wanted and wanted[key].shape == value.shape for key, value in renamed.items()
        )
        if fits and _is_whole(made, found):
            made.load_state_dict(found, strict=False)
            made.tie_weights()
            return made.eval()
    return None


def _renamed(key: str, names: Mapping[str, str], base: str) -> str:
    """Where the class keeps a tensor of the head; empty where it is not said."""
    for ours, theirs in names.items():
        if not ours or key == ours or key.startswith(f"{ours}."):
            return theirs.format(base=base) + key[len(ours) :]
    return ""


def _is_whole(made: Any, found: Mapping[str, Tensor]) -> bool:
    """Whether every weight of a class is among those found, or is one of them under another name."""
    names = {id(value): key for key, value in made.named_parameters() if key in found}
    tied = made.all_tied_weights_keys if hasattr(made, "all_tied_weights_keys") else {}
    lacking = [key for key, value in made.named_parameters() if key not in found and id(value) not in names]
    return all(key in tied for key in lacking)


def _plain_config(model: TrainedModel, spec: HeadSpec) -> Any:
    """The encoder's configuration with the head's labels, and with transformers' own attention."""
    config = deepcopy(model.encoder.config)
    config._attn_implementation = "sdpa" if model.encoder.packs else config._attn_implementation
    config.architectures = None
    if spec.labels:
        config.id2label = dict(enumerate(spec.labels))
        config.label2id = {label: number for number, label in enumerate(spec.labels)}
    return config


def _difference(model: TrainedModel, name: str, made: Any) -> float:
    """The largest difference between the scores of the head and of the class, as a share of the largest score."""
    random = torch.Generator().manual_seed(0)
    vocabulary = model.encoder.word_embeddings().shape[0]
    largest, top = 0.0, 0.0
    for length in _PROBES:
        ids = torch.randint(vocabulary, (length,), generator=random)
        ids[ids == model.encoder.pad_id] = (model.encoder.pad_id + 1) % vocabulary
        with torch.inference_mode():
            ours = model.scores(name, pack([ids.tolist()])).float()
            inputs = {"input_ids": ids[None], "attention_mask": torch.ones(1, length, dtype=torch.long)}
            if type(made).__name__.endswith("MultipleChoice"):
                inputs = {key: value[None] for key, value in inputs.items()}
            output = made(**inputs)
        theirs = output.logits if "logits" in output else torch.stack([output.start_logits, output.end_logits], -1)
        largest = max(largest, float((ours.flatten() - theirs.float().flatten()).abs().max()))
        top = max(top, float(ours.abs().max()))
    return largest / (top or 1.0)


def _write_encoder(model: TrainedModel, out: Path, name: str, declared: Export | None) -> Exported:
    """The encoder as `AutoModel`, and the head's weights in a file of their own."""
    from safetensors.torch import save_file
    from transformers import AutoModel, AutoModelForTextEncoding

    backbone: Any = model.encoder.backbone
    encoders: Any = AutoModel._model_mapping
    whole = encoders[type(model.encoder.config)] is type(backbone)
    auto: Any = AutoModel if whole else AutoModelForTextEncoding  # the encoder half of an architecture
    with quiet():
        backbone.save_pretrained(str(out))
    if name:
        layers = {key: value.contiguous() for key, value in model.head(name).state_dict().items()}
        save_file(layers, str(out / HEAD_FILE))
    with quiet():
        again = auto.from_pretrained(str(out), local_files_only=True, trust_remote_code=False, dtype=torch.float32)
    # what the encoder does not use, a pooling layer, may be new
    kept = again.state_dict()
    wrong = [
        key for key, value in backbone.state_dict().items() if key not in kept or not torch.equal(kept[key], value)
    ]
    if wrong:
        raise UserError(f"the written encoder lacks {wrong[0]}", where=str(out))
    epsilon = float(getattr(model.encoder.config, "layer_norm_eps", 1e-12))
    usage = _usage_of_encoder(auto.__name__, declared, epsilon) if name else ""
    return _exported(model, name, class_name=auto.__name__, pipeline="", usage=usage, difference=0.0)


def _exported(
    model: TrainedModel, name: str, *, class_name: str, pipeline: str, usage: str, difference: float
) -> Exported:
    spec = model.specs[name] if name else HeadSpec(kind="")
    count = sum(parameter.numel() for parameter in model.encoder.parameters())
    if name:
        count += sum(parameter.numel() for parameter in model.head(name).parameters())
    return Exported(
        head=name,
        kind=spec.kind,
        labels=spec.labels,
        class_name=class_name,
        pipeline=pipeline,
        usage=usage,
        largest_difference=difference,
        parameters=count,
    )


def _usage(declared: Export) -> str:
    if declared.pipeline:
        made = f'pipe = pipeline("{declared.pipeline}", model=model, tokenizer=tokenizer)'
        return "\n".join([*_loading(f"AutoModelFor{declared.task}", "pipeline"), made, declared.usage])
    return "\n".join([*_loading(f"AutoModelFor{declared.task}"), declared.usage])


def _usage_of_encoder(class_name: str, declared: Export | None, epsilon: float) -> str:
    lines = _loading(class_name)
    lines += [
        f'head = load_file(f"{{folder}}/{HEAD_FILE}")',
        'inputs = tokenizer(["a text", "another, longer text"], truncation=True, padding=True, return_tensors="pt")',
        "with torch.no_grad():",
        "    states = model(**inputs).last_hidden_state",
        f"first, embeddings, eps = states[:, 0], model.get_input_embeddings().weight, {epsilon}",
    ]
    lines.insert(1, "from safetensors.torch import load_file")
    return "\n".join(lines if declared is None else [*lines, f"scores = {declared.formula}", "print(scores)"])


def _loading(class_name: str, *more: str) -> list[str]:
    return [
        "import torch",
        f"from transformers import {', '.join([class_name, 'AutoTokenizer', *more])}",
        "",
        f"model = {class_name}.from_pretrained(folder).eval()",
        "tokenizer = AutoTokenizer.from_pretrained(folder)",
    ]


def _write_tokenizer(folder: Path, out: Path, ours: TextTokenizer, model: TrainedModel, max_length: int | None) -> None:
    """The tokenizer's file as it is, with settings by which transformers takes it as it is.

    transformers would make the tokenizer of a known architecture anew from its vocabulary, with a pipeline of its own.
    """
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    copy_tokenizer(folder, out)
    backend = Tokenizer.from_file(str(out / "tokenizer.json"))
    file = out / "tokenizer_config.json"
    settings = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    settings = {key: value for key, value in settings.items() if key not in ("auto_map", "added_tokens_decoder")}
    tokens = {role: backend.id_to_token(number) for role, number in ours.special_ids.items()}
    limit = model.encoder.longest_allowed
    settings |= {f"{role}_token": token for role, token in tokens.items()}
    settings |= {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", *(["token_type_ids"] if ours.type_ids else []), "attention_mask"],
        **({"model_max_length": max_length or limit} if max_length or limit else {}),
    }
    file.write_text(json.dumps(settings, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    (out / "special_tokens_map.json").unlink(missing_ok=True)
    with quiet():
        theirs = AutoTokenizer.from_pretrained(str(out), local_files_only=True, trust_remote_code=False)
    for texts in _probe_texts(backend):
        found = theirs(*texts)["input_ids"]
        wanted = ours.encode([texts[0]], [texts[1]] if len(texts) > 1 else None, 10_000).ids.tolist()
        if found != wanted:
            raise UserError("transformers reads the tokenizer differently", where=str(out / "tokenizer.json"))


def _probe_texts(backend: Any) -> Sequence[tuple[str, ...]]:
    """Texts of the vocabulary itself, and some with what tokenizers treat differently."""
    size = backend.get_vocab_size()
    words = " ".join((backend.id_to_token(number) or "").strip("▁#") for number in range(0, size, max(1, size // 50)))
    hard = "  Two  spaces,\ttabs; Ünïcode ﬁ 漢字 ﷺ 'quotes' 3.14 \U0001f469\u200d "
    return (words,), (hard,), (words, hard)
