"""Shared parts of pretraining from scratch: an XLM-R configuration, and tables encoded in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from transformers import XLMRobertaConfig

from xtreme_dag.formats import parallel_text, plain_text
from xtreme_dag.heads import TEXT_HEAD
from xtreme_dag.heads.encoding import EncodeParams, encode_table
from xtreme_dag.tables.encoded import EncodedTable
from xtreme_dag.tables.tokenizer_files import load_tokenizer
from xtreme_dag.training.pools import Part
from xtreme_dag.training.tables import TrainingTable

# XLM-R's first special tokens, in its order; positions are counted from the padding token's id on.
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")


def xlmr_config(*, positions: int, dropout: float, **sizes: Any) -> XLMRobertaConfig:
    """An XLM-R configuration.

    Args:
        positions: tokens of the longest sequence.
        dropout: of hidden states and attention.
        sizes: further fields of the configuration, as transformers calls them.
    """
    return XLMRobertaConfig(
        max_position_embeddings=positions + SPECIALS.index("<pad>") + 1,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        bos_token_id=SPECIALS.index("<s>"),
        pad_token_id=SPECIALS.index("<pad>"),
        eos_token_id=SPECIALS.index("</s>"),
        **sizes,
    )


def encoded_part(name: str, table: pa.Table, tokenizer: Path, max_length: int) -> Part:
    """All rows of a text table, encoded for masked language modelling with a tokenizer that is not in the store."""
    format = (parallel_text if "english" in table.column_names else plain_text).FORMAT
    settings = EncodeParams(format=format.name, head=TEXT_HEAD, max_length=max_length)
    examples, sequences, info = encode_table(table, settings, load_tokenizer(tokenizer))
    encoded = EncodedTable(folder=tokenizer, info=info, examples=examples, sequences=sequences)
    languages = "+".join(info["languages"])
    return Part(source=TrainingTable(encoded), dataset=name, language=languages, rows=np.arange(len(encoded)))
