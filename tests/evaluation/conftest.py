"""A small model with every head, and encoded miniworld tables for it."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from transformers import XLMRobertaConfig

from xtreme_dag.core.context import StageContext
from xtreme_dag.heads import HeadSpec
from xtreme_dag.heads.encoding import encode
from xtreme_dag.heads.trained import TrainedModel, load_model, save_model
from xtreme_dag.miniworld.source import table
from xtreme_dag.model.folder import new_encoder
from xtreme_dag.model.layers import initialise
from xtreme_dag.tables.canonical import write_table
from xtreme_dag.training.planted_embeddings import word_embeddings
from xtreme_dag.training.planted_tokenizer import MAX_LENGTH, SPECIALS, write


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    """An untrained encoder over planted miniworld words: four layers, so that layers differ."""
    words = word_embeddings(seed=1, size=64)
    config = XLMRobertaConfig(
        vocab_size=len(words),
        hidden_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=MAX_LENGTH + 2,
        type_vocab_size=1,
        bos_token_id=SPECIALS.index("<s>"),
        pad_token_id=SPECIALS.index("<pad>"),
        eos_token_id=SPECIALS.index("</s>"),
        # Large enough that sentences do not crowd together, where rounding would decide who is nearest.
        initializer_range=0.15,
    )
    encoder = new_encoder(config, 1)
    with torch.no_grad():
        encoder.word_embeddings().copy_(torch.from_numpy(words))
    tokenizer = tmp_path_factory.mktemp("tokenizer")
    write(tokenizer)
    folder = tmp_path_factory.mktemp("base")
    save_model(TrainedModel(encoder, {}), folder, tokenizer_from=tokenizer)
    return folder


@pytest.fixture(scope="session")
def make_context():
    """A stage context that writes into a new folder."""

    def make(folder: Path, **options) -> StageContext:
        folder.mkdir(parents=True, exist_ok=True)
        return StageContext(out=folder, scratch=folder, options=options)

    return make


@pytest.fixture(scope="session")
def same_outcome():
    """Asserts that two artifacts are equal, scores to one unit of their last decimal."""

    def same(one: Path, other: Path) -> None:
        assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in other.iterdir())
        for path in sorted(one.iterdir()):
            if path.suffix != ".parquet":
                assert path.read_bytes() == (other / path.name).read_bytes()
                continue
            left, right = pq.read_table(path), pq.read_table(other / path.name)
            assert left.schema == right.schema and left.num_rows == right.num_rows
            for name in left.column_names:
                if left.schema.field(name).type == pa.float32():
                    np.testing.assert_allclose(left[name].to_numpy(), right[name].to_numpy(), rtol=0, atol=1.1e-4)
                else:
                    assert left[name].to_pylist() == right[name].to_pylist(), name

    return same


@pytest.fixture(scope="session")
def make_model(base, tmp_path_factory):
    """The base model with more heads, their weights drawn at random."""

    def make(**specs: HeadSpec) -> Path:
        model = load_model(base)
        for seed, (name, spec) in enumerate(specs.items()):
            # A dual head's tanh must not saturate: vectors of ones would tie.
            initialise(model.add_head(name, spec), 0.05 if spec.kind == "dual" else 0.3, seed)
        folder = tmp_path_factory.mktemp("model")
        save_model(model, folder, tokenizer_from=base)
        return folder

    return make


@pytest.fixture(scope="session")
def make_inputs(base, tmp_path_factory, make_context):
    """A canonical table and its encoding, as the inputs of an evaluation (without the model)."""

    def make(rows: pa.Table, **params) -> dict[str, Path]:
        home = tmp_path_factory.mktemp("table")
        (home / "table").mkdir()
        write_table(rows, home / "table" / "table.parquet")
        encode(params, {"table": home / "table", "tokenizer": base}, make_context(home / "encoded"))
        return {"table": home / "table", "encoded": home / "encoded"}

    return make


@pytest.fixture(scope="session")
def miniworld():
    """A miniworld table."""

    def make(kind: str, language: str = "en", rows: int = 60, **more) -> pa.Table:
        return table(kind, dataset="test", language=language, split="test", rows=rows, seed=1, **more)

    return make
