"""Loss curves of the packed and the padded path: the same batches, optimizer and schedule, dropout off, fp32.

    python -m bench.curves [--steps 200] [--device cpu] [--json]

The padded path is transformers' own sequence classification model in a plain loop. Prints JSON with the largest
relative difference of a step's loss.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch

from bench.peers import collate, features, synthetic
from xtreme_dag.core.context import StageContext
from xtreme_dag.heads import HeadSpec
from xtreme_dag.heads.trained import TrainedModel
from xtreme_dag.model.folder import new_encoder
from xtreme_dag.model.layers import initialise
from xtreme_dag.study.schedule import Schedule
from xtreme_dag.study.train_recipe import TrainRecipe
from xtreme_dag.training.loop import train
from xtreme_dag.training.pools import Part, Pool
from xtreme_dag.training.run import Run
from xtreme_dag.training.tables import TrainingTable

VOCABULARY = 2_000


def shape():
    """2 layers of 128 without dropout."""
    from transformers import XLMRobertaConfig

    return XLMRobertaConfig(vocab_size=VOCABULARY, hidden_size=128, num_hidden_layers=2, num_attention_heads=4,
                            intermediate_size=512, max_position_embeddings=514, pad_token_id=1, bos_token_id=0,
                            eos_token_id=2, type_vocab_size=1, num_labels=3, hidden_dropout_prob=0.0,
                            attention_probs_dropout_prob=0.0)  # fmt: skip


def padded_curve(model: TrainedModel, table, schedule: Schedule, recipe: TrainRecipe, device: str) -> np.ndarray:
    """The losses of a plain loop over padded batches, from the model's weights."""
    from transformers import AutoModelForSequenceClassification

    padded = AutoModelForSequenceClassification.from_config(shape()).to(device)
    padded.roberta.load_state_dict(model.encoder.backbone.state_dict())
    padded.classifier.dense.load_state_dict(model.heads["bench"].dense.state_dict())
    padded.classifier.out_proj.load_state_dict(model.heads["bench"].out.state_dict())
    decayed = [parameter for parameter in padded.parameters() if parameter.ndim >= 2]
    others = [parameter for parameter in padded.parameters() if parameter.ndim < 2]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate)
    rows = features(table)
    losses = []
    for step in range(schedule.steps):
        batch = collate([rows[row] for row in schedule.batch(step)[0].positions], None)
        loss = padded(**{name: value.to(device) for name, value in batch.items()}).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(padded.parameters(), recipe.max_grad_norm)
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate(step, schedule.steps)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    return np.array(losses)


def compare(steps: int, device: str, threads: int = 1) -> dict:
    """Both curves; the largest and the median relative difference of a step's loss."""
    random = np.random.default_rng(0)
    table = synthetic(np.clip(random.lognormal(3.58, 0.45, 1_000), 8, 128).astype(np.int64), VOCABULARY)
    recipe = TrainRecipe(learning_rate=1e-4, batch_size=16, steps=steps, precision="fp32", trim_vocabulary=False)
    spec = HeadSpec(kind="classification", labels=("a", "b", "c"))
    model = TrainedModel(new_encoder(shape(), 1), {"bench": spec})
    initialise(model.heads["bench"], 0.02, 1)
    schedule = Schedule([len(table)], seed=1, batch_size=16, epochs=1, steps=steps, mixing="step")
    padded = padded_curve(model, table, schedule, recipe, device)
    part = Part(source=TrainingTable(table), dataset="bench", language="en", rows=np.arange(len(table)))
    run = Run(seed=1, recipe=recipe, pools=(Pool(name="bench", spec=spec, parts=(part,)),))
    with tempfile.TemporaryDirectory() as folder:
        options = {"threads": threads, "device": device}
        packed = train(model, run, StageContext(out=Path(folder), scratch=Path(folder), options=options)).losses
    difference = np.abs(packed - padded) / np.abs(padded)
    return {
        "steps": steps,
        "device": device,
        "largest_relative_difference": float(difference.max()),
        "median_relative_difference": float(np.median(difference)),
        "first_loss": float(padded[0]),
        "last_loss": float(padded[-1]),
    }


def main() -> None:
    """Compares and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true", help="one line")
    asked = parser.parse_args()
    print(json.dumps(compare(asked.steps, asked.device), indent=None if asked.json else 1))


if __name__ == "__main__":
    main()
