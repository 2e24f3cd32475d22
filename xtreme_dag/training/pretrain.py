"""Pretrain from scratch: a BPE tokenizer made from the text, then masked language modelling on it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError
from xtreme_dag.formats import plain_text
from xtreme_dag.heads import TEXT_HEAD, HeadSpec
from xtreme_dag.heads.trained import TrainedModel
from xtreme_dag.model.folder import new_encoder
from xtreme_dag.model.layers import initialise
from xtreme_dag.study.pretraining import EncoderShape
from xtreme_dag.study.train_recipe import TrainRecipe
from xtreme_dag.tables.canonical import read_table, schema_of
from xtreme_dag.training.artifact import write_artifact
from xtreme_dag.training.fresh import SPECIALS, encoded_part, xlmr_config
from xtreme_dag.training.loop import train
from xtreme_dag.training.pools import Pool
from xtreme_dag.training.run import Run

_SPECIALS = (*SPECIALS, "<mask>")
_HEAD_STD = 0.02


def train_pretrain_text(
    params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext, *, writes: bool
) -> Mapping[str, Any]:
    """Pretrains on text; see `xtreme_dag.training.stages.pretrain_text`."""
    recipe = TrainRecipe.from_params(params["recipe"])
    seed = int(params["seed"])
    shape = EncoderShape.from_params(params.get("model", {}), where="pretrain: model")
    tables = text_tables(inputs, params.get("limit"), params.get("columns") or {})
    tokenizer = context.scratch / "tokenizer"
    train_tokenizer([table for _, table in tables], int(params["vocabulary_size"]), tokenizer)
    max_length = int(params.get("max_length", shape.max_positions))
    parts = tuple(encoded_part(name, table, tokenizer, max_length) for name, table in tables)
    pool = Pool(name=TEXT_HEAD, spec=HeadSpec(kind=TEXT_HEAD), parts=parts)
    config = xlmr_config(
        positions=shape.max_positions,
        dropout=shape.dropout,
        vocab_size=parts[0].table.info["vocabulary_size"],
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate_size,
    )
    model = TrainedModel(new_encoder(config, seed), {TEXT_HEAD: pool.spec})
    initialise(model.head(TEXT_HEAD), _HEAD_STD, seed)
    outcome = train(model, Run(seed=seed, recipe=recipe, pools=(pool,)), context)
    if not writes:
        return {}
    return write_artifact(
        model, outcome, (pool,), out=context.out, tokenizer_from=tokenizer, facts={"seed": seed}, storage=recipe.storage
    )


def text_tables(
    inputs: Mapping[str, Path], limit: int | None, columns: Mapping[str, Sequence[str]]
) -> list[tuple[str, pa.Table]]:
    """The text tables by name, at most `limit` lines each, lines without text left out.

    Args:
        inputs: `text/<name>`, folders with canonical tables.
        limit: lines per table; None for all.
        columns: name -> the columns that hold the texts of a table without a column `text`.
    """
    tables = []
    for key in sorted(name for name in inputs if name.startswith("text/")):
        name = key.removeprefix("text/")
        table = as_text(read_table(inputs[key]), columns.get(name, ()))
        if "test" in set(table["split"].to_pylist()):
            raise UserError("a test split must not be trained on", where=key)
        written = np.array([bool(text and text.strip()) for text in table["text"].to_pylist()], dtype=bool)
        tables.append((name, table.filter(pa.array(written)).slice(0, limit)))
    if not any(table.num_rows for _, table in tables):
        raise UserError("there is no text to train on", where="pretrain", fix="give inputs named text/<language>")
    return [(name, table) for name, table in tables if table.num_rows]


def as_text(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """A table of lines of text: a text table as it is, the texts in columns of any other one a line, each once."""
    if "text" in table.column_names:
        return table
    lines: dict[str, str] = {}
    for row in table.select(["language", *columns]).to_pylist():
        for name in columns:
            text = " ".join(row[name]) if isinstance(row[name], list) else row[name]
            if text:
                lines.setdefault(text, row["language"])
    splits = table["split"].to_pylist()[:1] * len(lines)
    ids = [f"line-{number}" for number in range(len(lines))]
    rows = {
        "id": ids,
        "language": list(lines.values()),
        "split": splits,
        "text": list(lines),
        "document": [""] * len(ids),
    }
    return pa.table(rows, schema=schema_of(plain_text.FORMAT))


def train_tokenizer(tables: Sequence[pa.Table], size: int, folder: Path) -> None:
    """Makes a BPE tokenizer of at most `size` tokens from the tables' text, the same for the same text.

    Text is NFKC-normalised, split at white space (kept as `▁`) and around punctuation.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation("isolated")]
    )
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(_SPECIALS), show_progress=False)
    tokenizer.train_from_iterator(_lines(tables), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    names = dict(zip(("cls", "pad", "sep", "unk", "mask"), _SPECIALS, strict=True))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "model_input_names": ["input_ids", "attention_mask"],
        **{f"{role}_token": token for role, token in names.items()},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def _lines(tables: Sequence[pa.Table]) -> Iterator[str]:
    """All texts, table by table, with their English side where there is one."""
    for table in tables:
        yield from table["text"].to_pylist()
        if "english" in table.column_names:
            yield from (text for text in table["english"].to_pylist() if text)
