"""Masked language modelling at XLM-R's vocabulary: ours against `XLMRobertaForMaskedLM` with Trainer.

    python -m bench.mlm [--rounds 3] [--steps 4] [--json]

The same encoder (4 layers of 256), 250,002 words, batch 16, lengths like XLM-R's on sentences. Trainer's collator is
transformers' own; its head scores every token over the whole vocabulary, ours the masked ones. Prints JSON.
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

from bench.peers import Clock, Seconds, interleaved, summary, synthetic, trainer_seconds
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

VOCABULARY = 250_002
BATCH = 16


def shape():
    """4 layers of 256 with XLM-R's vocabulary."""
    from transformers import XLMRobertaConfig

    return XLMRobertaConfig(vocab_size=VOCABULARY, hidden_size=256, num_hidden_layers=4, num_attention_heads=4,
                            intermediate_size=1024, max_position_embeddings=514, pad_token_id=1, bos_token_id=0,
                            eos_token_id=2, type_vocab_size=1)  # fmt: skip


def ours(table, threads: int) -> Seconds:
    """What our loop takes for the table, once."""
    spec = HeadSpec(kind="mlm")
    part = Part(source=TrainingTable(table), dataset="bench", language="en", rows=np.arange(len(table)))
    model = TrainedModel(new_encoder(shape(), 1), {"bench": spec})
    initialise(model.heads["bench"], 0.02, 1)
    recipe = TrainRecipe(batch_size=BATCH, epochs=1, warmup=0.0, weight_decay=0.0)
    run = Run(seed=1, recipe=recipe, pools=(Pool(name="bench", spec=spec, parts=(part,)),))
    with tempfile.TemporaryDirectory() as folder:
        context = StageContext(out=Path(folder), scratch=Path(folder), options={"threads": threads})
        with Clock() as clock:
            train(model, run, context)
    return clock.spent


def collator(rows: list[dict]) -> dict:
    """Pads to the longest text and masks 15 %, as DataCollatorForLanguageModeling does."""
    width = max(len(row["input_ids"]) for row in rows)
    ids = torch.ones(len(rows), width, dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
    mask = (ids != 1).long()
    labels = ids.clone()
    chosen = (torch.rand(ids.shape) < 0.15) & (ids > 4)
    labels[~chosen] = -100
    fate = torch.rand(ids.shape)
    ids[chosen & (fate < 0.8)] = 4
    random = chosen & (fate >= 0.8) & (fate < 0.9)
    ids[random] = torch.randint(VOCABULARY, ids.shape)[random]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def peer(table) -> Seconds:
    """What Trainer takes for the table, once."""
    from transformers import AutoModelForMaskedLM

    torch.manual_seed(1)
    rows = [
        {"input_ids": table.ids[low:high].tolist(), "length": int(high - low)}
        for low, high in zip(table.offsets[:-1], table.offsets[1:], strict=True)
    ]
    return trainer_seconds(
        AutoModelForMaskedLM.from_config(shape()), rows, batch=BATCH, collator=collator, use_cpu=True
    )


def main() -> None:
    """Runs both in turn and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one line")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    lengths = np.clip(np.random.default_rng(0).lognormal(3.3, 0.5, asked.steps * BATCH), 6, 128).astype(np.int64)
    table = synthetic(lengths, VOCABULARY)
    runs = {"ours": lambda: ours(table, asked.threads), "trainer": lambda: peer(table)}
    results = interleaved(runs, asked.rounds, lambda line: print(line, file=sys.stderr, flush=True))
    report = {
        "threads": asked.threads,
        "load": os.getloadavg(),
        "mean_tokens": round(float(lengths.mean()), 1),
        **summary(results, asked.steps),
    }
    print(json.dumps(report, indent=None if asked.json else 1))


if __name__ == "__main__":
    main()
