"""Damages that model folders really have: each takes a good folder and spoils it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"


def _json(path: Path, change: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def _weights(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS, metadata={"format": "pt"})


def no_tokenizer(folder: Path) -> None:
    (folder / TOKENIZER).unlink()


def lfs_pointer(folder: Path) -> None:
    (folder / WEIGHTS).write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1\n")


def cut_off(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) * 2 // 3])


def missing_shard(folder: Path) -> None:
    names = {
        name: f"model-0000{number % 2 + 1}-of-00002.safetensors"
        for number, name in enumerate(load_file(folder / WEIGHTS))
    }
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    (folder / WEIGHTS).rename(folder / "model-00001-of-00002.safetensors")


def missing_weight(folder: Path) -> None:
    """One of the last layer's matrices; ALBERT has one layer for all."""

    def change(weights: dict[str, Any]) -> dict[str, Any]:
        inner = [name for name, value in weights.items() if value.ndim == 2 and "decoder" not in name]
        layers = [name for name in inner if ".1." in name] or [name for name in inner if "layer" in name]
        return {name: value for name, value in weights.items() if name != layers[-1]}

    _weights(folder, change)


def foreign_weights(folder: Path) -> None:
    _weights(folder, lambda weights: weights | {"adversary.weight": torch.ones(2, 2)})


def unknown_prefix(folder: Path) -> None:
    _weights(folder, lambda weights: {f"net.{name}": value for name, value in weights.items()})


def other_shape(folder: Path) -> None:
    """The configuration of a model with a larger vocabulary."""
    _json(folder / "config.json", lambda config: config | {"vocab_size": config["vocab_size"] + 7})


def adapter_only(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text("{}")


def larger_vocabulary(folder: Path) -> None:
    def change(tokenizer: Any) -> Any:
        words = tokenizer["model"]["vocab"]
        words["beyond"] = len(words)
        return tokenizer

    _json(folder / TOKENIZER, change)


def no_separator(folder: Path) -> None:
    _json(folder / TOKENIZER, lambda tokenizer: tokenizer | {"post_processor": None})


def no_unknown(folder: Path) -> None:
    def change(tokenizer: Any) -> Any:
        tokenizer["added_tokens"] = [token for token in tokenizer["added_tokens"] if token["content"] != "<unk>"]
        tokenizer["model"]["unk_token"] = "[absent]"
        return tokenizer

    _json(folder / TOKENIZER, change)


def lower_case_unlike(folder: Path) -> None:
    _json(folder / "tokenizer_config.json", lambda settings: settings | {"do_lower_case": True})


def slow_unlike(folder: Path) -> None:
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\nw3\nw2\nw1\n")


def foreign_code(folder: Path) -> None:
    _json(folder / "config.json", lambda config: config | {"model_type": "own", "auto_map": {"AutoModel": "own.Own"}})


def no_configuration(folder: Path) -> None:
    (folder / "config.json").unlink()


def sentencepiece_only(folder: Path) -> None:
    (folder / TOKENIZER).rename(folder / "sentencepiece.bpe.model")


DAMAGES: dict[str, Callable[[Path], None]] = {
    damage.__name__: damage
    for damage in (
        no_tokenizer, lfs_pointer, cut_off, missing_shard, missing_weight, foreign_weights, unknown_prefix, other_shape,
        adapter_only, larger_vocabulary, no_separator, no_unknown, lower_case_unlike, slow_unlike, foreign_code,
        no_configuration, sentencepiece_only,
    )
}  # fmt: skip
