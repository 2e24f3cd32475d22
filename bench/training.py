"""Training speed against transformers' Trainer: the same model, examples, batch size and optimizer, in one run.

    python -m bench.training [--rounds 3] [--steps 20] [--json]

Prints JSON: wall and processor seconds per arm and round, examples/s, and the ratios of medians by both clocks. Three
corpora: XNLI dev pairs in four languages (batch 32, an 8,000-piece tokenizer made from the text of all fifteen), lengths
like XLM-R's own on XNLI (random ids), and SQuAD windows of 384. The mean number of tokens is printed.
Trainer draws random batches and pads them to the longest example (its default), groups by length, or pads to 128 or
384; ours draws random batches and packs them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from bench.peers import (
    LABELS,
    Clock,
    Seconds,
    encoded,
    features,
    interleaved,
    make_tokenizer,
    squad_rows,
    summary,
    synthetic,
    trainer_seconds,
    xnli_rows,
)
from xtreme_dag.core.context import StageContext
from xtreme_dag.heads import HeadSpec
from xtreme_dag.heads.trained import TrainedModel
from xtreme_dag.model.folder import new_encoder
from xtreme_dag.model.layers import initialise
from xtreme_dag.study.train_recipe import TrainRecipe
from xtreme_dag.training.loop import train
from xtreme_dag.training.pools import Part, Pool
from xtreme_dag.training.run import Run
from xtreme_dag.training.tables import TrainingTable

VOCABULARY = 8_000
XNLI = ("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh")


def shape(labels: int = 3):
    """4 layers of 256, XLM-R-like."""
    from transformers import XLMRobertaConfig

    return XLMRobertaConfig(vocab_size=VOCABULARY, hidden_size=256, num_hidden_layers=4, num_attention_heads=4,
                            intermediate_size=1024, max_position_embeddings=514, pad_token_id=1, bos_token_id=0,
                            eos_token_id=2, type_vocab_size=1, num_labels=labels)  # fmt: skip


def our_seconds(table, kind: str, rows: np.ndarray, batch: int, threads: int) -> Seconds:
    """What our loop takes for these rows, once."""
    spec = HeadSpec(kind=kind, labels=tuple(LABELS) if kind == "classification" else ())
    part = Part(source=TrainingTable(table), dataset="bench", language="en", rows=rows)
    pool = Pool(name="bench", spec=spec, parts=(part,))
    model = TrainedModel(new_encoder(shape(), 1), {"bench": spec})
    initialise(model.heads["bench"], 0.02, 1)
    recipe = TrainRecipe(learning_rate=1e-5, batch_size=batch, epochs=1, warmup=0.0, weight_decay=0.0)
    with tempfile.TemporaryDirectory() as folder:
        context = StageContext(out=Path(folder), scratch=Path(folder), options={"threads": threads})
        with Clock() as clock:
            train(model, Run(seed=1, recipe=recipe, pools=(pool,)), context)
    return clock.spent


def classification_arms(table, rows: np.ndarray, batch: int, width: int, threads: int) -> dict:
    """Ours, and Trainer in its three ways of padding."""
    from transformers import AutoModelForSequenceClassification

    taken = [features(table)[row] for row in rows]

    def peer(**how):
        torch.manual_seed(1)
        return trainer_seconds(
            AutoModelForSequenceClassification.from_config(shape()), taken, batch=batch, use_cpu=True, **how
        )

    return {
        "ours": lambda: our_seconds(table, "classification", rows, batch, threads),
        "trainer_dynamic": peer,
        "trainer_grouped": lambda: peer(grouped=True),
        "trainer_padded": lambda: peer(width=width),
    }


def span_arms(table, batch: int, width: int, threads: int) -> dict:
    """Ours, and Trainer padded to the window."""
    from transformers import AutoModelForQuestionAnswering

    taken = features(table)

    def peer(**how):
        torch.manual_seed(1)
        return trainer_seconds(
            AutoModelForQuestionAnswering.from_config(shape(2)), taken, batch=batch, use_cpu=True, **how
        )

    # one window per example here, so that a batch has the same windows as Trainer's
    return {
        "ours": lambda: our_seconds(table, "span", np.arange(len(table)), batch, threads),
        "trainer_dynamic": peer,
        "trainer_padded": lambda: peer(width=width),
    }


def mean(lengths: np.ndarray) -> float:
    """The mean number of tokens, to a tenth."""
    return round(float(lengths.mean()), 1)


def main() -> None:
    """Runs the comparisons and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=16, help="optimizer steps per arm and round")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=["xnli", "xlmr_lengths", "squad"])
    parser.add_argument("--json", action="store_true", help="print nothing but JSON on standard output")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    log = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
    report: dict = {"threads": asked.threads, "load": os.getloadavg(), "torch": torch.__version__}
    random = np.random.default_rng(0)
    if asked.only in (None, "xnli"):
        rows = xnli_rows(("en", "de", "es", "fr"), 512)
        texts = [row[side] for row in xnli_rows(XNLI, 2_490) for side in ("text_a", "text_b")]
        tokenizer = make_tokenizer(texts, VOCABULARY)
        table = encoded(rows, "pair_classification", tokenizer, head="classification", labels=LABELS, max_length=128)
        chosen = random.permutation(len(table))[: asked.steps * 32]
        results = interleaved(classification_arms(table, chosen, 32, 128, asked.threads), asked.rounds, log)
        report["xnli"] = {"mean_tokens": mean(table.lengths[chosen]), **summary(results, len(chosen))}
    if asked.only in (None, "xlmr_lengths"):
        # XLM-R's tokens of XNLI pairs: about lognormal with mean 40 (measured elsewhere; the tokenizer is not shipped)
        lengths = np.clip(random.lognormal(3.58, 0.45, asked.steps * 32), 8, 128).astype(np.int64)
        table = synthetic(lengths, VOCABULARY)
        results = interleaved(
            classification_arms(table, np.arange(len(table)), 32, 128, asked.threads), asked.rounds, log
        )
        report["xlmr_lengths"] = {"mean_tokens": mean(lengths), **summary(results, len(table))}
    if asked.only in (None, "squad"):
        rows = squad_rows(asked.steps * 16)
        # of the whole file, whatever the number of steps: few texts would make few pieces, and long sequences of them
        everything = squad_rows(100_000)
        texts = sorted({row["context"] for row in everything} | {row["question"] for row in everything})
        tokenizer = make_tokenizer(texts, VOCABULARY)
        table = encoded(rows, "span_qa", tokenizer, head="span", max_length=384, doc_stride=384)
        single = encoded([row for row, count in zip(rows, np.diff(table.first_sequence), strict=True) if count == 1],
                         "span_qa", tokenizer, head="span", max_length=384, doc_stride=384)  # fmt: skip
        results = interleaved(span_arms(single, 16, 384, asked.threads), asked.rounds, log)
        report["squad"] = {"mean_tokens": mean(single.lengths), **summary(results, len(single))}
    print(json.dumps(report, indent=None if asked.json else 1))


if __name__ == "__main__":
    main()
