"""Training on one CUDA device: XLM-R-large shape, random weights, bf16; ours against transformers' Trainer.

    python -m bench.gpu_training [--json] [--layers 24] [--steps 60]

Prints JSON: the device's own matrix product rate; for NLI lengths at batch 32 and 256 and QA lengths at batch 32 the
tokens/s, examples/s and MFU of our loop (with CUDA graphs; on request without, and with compiled layers too) and of
Trainer (bf16, fused AdamW, grouped by length, padded to the longest example), and their ratios; whether packed and
padded agree on this device; whether the same seed gives the same weights, broken off or not; where the time goes. Needs nothing but torch, transformers, accelerate and pyarrow, and no data.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import inspect
import json
import statistics
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
import torch

from bench.curves import compare
from bench.peers import collate, features, synthetic
from xtreme_dag.core.context import StageContext
from xtreme_dag.heads import HeadSpec
from xtreme_dag.heads.trained import TrainedModel
from xtreme_dag.model.folder import new_encoder
from xtreme_dag.model.layers import initialise
from xtreme_dag.model.packed import pack
from xtreme_dag.study.train_recipe import TrainRecipe
from xtreme_dag.training.loop import train
from xtreme_dag.training.pools import Part, Pool
from xtreme_dag.training.run import Run
from xtreme_dag.training.speed import matmul_rate, training_flops
from xtreme_dag.training.tables import TrainingTable

VOCABULARY = 250_002
# Of XLM-R's vocabulary a fine-tuning set uses a part: MNLI's English text about a tenth (assumed here).
USED = 25_000
SPEC = HeadSpec(kind="classification", labels=("a", "b", "c"))


def say(line: str) -> None:
    """Progress, on standard error."""
    print(line, file=sys.stderr, flush=True)


def shape(layers: int, dropout: float = 0.1):
    """XLM-R large, with this many layers."""
    from transformers import XLMRobertaConfig

    return XLMRobertaConfig(vocab_size=VOCABULARY, hidden_size=1024, num_hidden_layers=layers, num_attention_heads=16,
                            intermediate_size=4096, max_position_embeddings=514, pad_token_id=1, bos_token_id=0,
                            eos_token_id=2, type_vocab_size=1, num_labels=3, layer_norm_eps=1e-5,
                            hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)  # fmt: skip


def nli_lengths(count: int) -> np.ndarray:
    """XLM-R's tokens of XNLI pairs: about lognormal with mean 40."""
    return np.clip(np.random.default_rng(0).lognormal(3.58, 0.45, count), 8, 128).astype(np.int64)


def qa_lengths(count: int) -> np.ndarray:
    """XLM-R's tokens of SQuAD windows: about lognormal with mean 170."""
    return np.clip(np.random.default_rng(0).lognormal(5.05, 0.42, count), 40, 384).astype(np.int64)


def our_model(layers: int, dropout: float = 0.1) -> TrainedModel:
    """A model made on the device, which is faster than on the host."""
    with torch.device("cuda"):
        model = TrainedModel(new_encoder(shape(layers, dropout), 1), {"bench": SPEC})
    model.cpu()
    initialise(model.heads["bench"], 0.02, 1)
    return model


def ours(table, batch: int, steps: int, layers: int, how: str = "graphs", **recipe) -> dict:
    """Our loop; figures are medians over its own readings, the first left out (it holds compilation)."""
    part = Part(source=TrainingTable(table), dataset="bench", language="en", rows=np.arange(len(table)))
    run = Run(
        seed=1,
        recipe=TrainRecipe(**{"learning_rate": 1e-5, "batch_size": batch, "steps": steps, **recipe}),
        pools=(Pool(name="bench", spec=SPEC, parts=(part,)),),
    )
    readings: list[dict] = []
    model = our_model(layers)
    with tempfile.TemporaryDirectory() as folder:
        options = {
            "device": "cuda",
            "threads": 8,
            "cuda": how,
            "log_steps": max(1, steps // 6),
        }
        options["checkpoint_seconds"] = 1e9
        context = StageContext(
            out=Path(folder), scratch=Path(folder), options=options,
            listen=lambda event: readings.append(dict(event)) if event["event"] == "progress" else None,
        )  # fmt: skip
        outcome = train(model, run, context)
    digest = hashlib.sha256(b"".join(value.cpu().numpy().tobytes() for value in model.state_dict().values()))
    late = readings[2:] or readings
    figures = {
        key: statistics.median(reading[key] for reading in late) for key in ("tokens_per_s", "examples_per_s", "mfu")
    }
    figures |= {"memory_gb": round(readings[-1]["memory_mb"] / 1024, 1), "loss": readings[-1]["loss"]}
    figures |= {
        "graphs": outcome.figures["cuda_graphs"],
        "seconds": outcome.figures["seconds"],
        "weights": digest.hexdigest()[:16],
    }
    return figures


class Marks:
    """Times of Trainer's steps, the device synchronised."""

    def __init__(self, warm: int, steps: int) -> None:
        self.warm, self.steps, self.times = warm, steps, {}

    def callback(self):
        """A Trainer callback."""
        from transformers import TrainerCallback

        marks = self

        class _Callback(TrainerCallback):
            def on_step_end(self, args, state, control, **_):
                if state.global_step in (marks.warm, marks.steps):
                    torch.cuda.synchronize()
                    marks.times[state.global_step] = time.perf_counter()

        return _Callback()


def trainer(table, batch: int, steps: int, layers: int) -> dict:
    """Trainer in bf16, grouped by length, fused AdamW, pinned memory, two loader workers."""
    from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

    with torch.device("cuda"):
        model = AutoModelForSequenceClassification.from_config(shape(layers))
    known = inspect.signature(TrainingArguments).parameters
    grouping = (
        {"train_sampling_strategy": "group_by_length"}
        if "train_sampling_strategy" in known
        else {"group_by_length": True}
    )
    rows = features(table)
    warm = max(2, steps // 3)
    marks = Marks(warm, steps)
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder, per_device_train_batch_size=batch, max_steps=steps, learning_rate=1e-5, bf16=True,
            save_strategy="no", logging_strategy="no", report_to="none", disable_tqdm=True, optim="adamw_torch_fused",
            remove_unused_columns=False, seed=1, length_column_name="length", weight_decay=0.01,
            dataloader_num_workers=2, **grouping,
        )  # fmt: skip
        peer = Trainer(model=model, args=settings, train_dataset=rows, data_collator=Padding(),
                       callbacks=[marks.callback()])  # fmt: skip
        peer.train()
    seconds = marks.times[steps] - marks.times[warm]
    examples = (steps - warm) * batch
    mean = float(table.lengths.mean())
    return {"examples_per_s": examples / seconds, "tokens_per_s": examples * mean / seconds,
            "memory_gb": round(torch.cuda.max_memory_allocated() / 2**30, 1)}  # fmt: skip


class Padding:
    """Pads to the longest example of the batch (a class, so that loader workers can have it)."""

    def __call__(self, rows: list[dict]) -> dict:
        return collate(rows, None)


def agreement() -> dict:
    """Packed against padded hidden states on this device, in fp32 and in bf16, and padded fp32 against padded bf16."""
    from transformers import AutoModel

    config = shape(4, dropout=0.0)
    config.vocab_size = 1_000
    model = TrainedModel(new_encoder(config, 3), {}).to("cuda").eval()
    reference = AutoModel.from_config(config, add_pooling_layer=False).to("cuda").eval()
    reference.load_state_dict(model.encoder.backbone.state_dict())
    random = np.random.default_rng(1)
    sequences = [random.integers(5, 1_000, size=length).tolist() for length in (7, 130, 33, 1, 64, 300, 19)]
    tokens = pack(sequences, device="cuda")
    batch = {name: value.cuda() for name, value in collate([{"input_ids": row} for row in sequences], None).items()}
    result = {}
    states = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with torch.no_grad(), torch.autocast("cuda", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            packed = model.encoder(tokens).float()
            padded = reference(**batch).last_hidden_state.float()[batch["attention_mask"].bool()]
        states[name] = padded
        result[f"{name}_largest_difference"] = float((packed - padded).abs().max())
        result[f"{name}_mean_difference"] = float((packed - padded).abs().mean())
    result["padded_bf16_against_fp32_mean"] = float((states["bf16"] - states["fp32"]).abs().mean())
    return result


def resumed(table) -> dict:
    """Whether a run that is broken off and started again ends with the weights of an unbroken one."""
    part = Part(source=TrainingTable(table), dataset="bench", language="en", rows=np.arange(len(table)))
    run = Run(
        seed=1,
        recipe=TrainRecipe(learning_rate=1e-5, batch_size=32, steps=12),
        pools=(Pool(name="bench", spec=SPEC, parts=(part,)),),
    )

    def once(folder: str, stop: int | None) -> TrainedModel:
        def listen(event) -> None:
            if event["event"] == "progress" and event["done"] == stop:
                raise KeyboardInterrupt

        model = our_model(4)
        options = {"device": "cuda", "checkpoint_steps": 5, "log_steps": 1}
        train(model, run, StageContext(out=Path(folder), scratch=Path(folder), options=options, listen=listen))
        return model

    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as broken:
        first = once(whole, None).state_dict()
        try:
            once(broken, 8)
        except KeyboardInterrupt:
            clean()
        second = once(broken, None).state_dict()
    return {"same_weights": all(value.equal(second[name]) for name, value in first.items())}


def profile(table, batch: int, layers: int) -> list[dict]:
    """Where the device's time goes over a few steps: the largest kernels."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    with record(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as found:
        ours(table, batch, 12, layers)
    averages = [event for event in found.key_averages() if event.self_device_time_total > 0]
    averages.sort(key=lambda event: -event.self_device_time_total)
    return [
        {"kernel": event.key[:90], "ms": round(event.self_device_time_total / 1e3, 2), "calls": event.count}
        for event in averages[:25]
    ]


def clean() -> None:
    """Frees the device's memory between arms."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


def attempt(report: dict, name: str, call, *arguments) -> None:
    """Puts a measurement into the report, or its error: one failed arm does not lose the others."""
    clean()
    started = time.perf_counter()
    try:
        report[name] = call(*arguments)
    except Exception as error:
        report[name] = {"error": f"{type(error).__name__}: {error}"[:600], "at": traceback.format_exc()[-1500:]}
    shown = report[name] if isinstance(report[name], dict) else {}
    say(f"{name}: {time.perf_counter() - started:.0f} s { ({k: shown[k] for k in list(shown)[:3]}) }")


def main() -> None:
    """Runs all measurements and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--json", action="store_true", help="one line")
    parser.add_argument("--compile", action="store_true", help="also with compiled layers")
    parser.add_argument("--eager", action="store_true", help="also without CUDA graphs")
    parser.add_argument("--no-profile", action="store_true")
    asked = parser.parse_args()
    device = torch.device("cuda")
    report: dict = {"torch": torch.__version__, "device": torch.cuda.get_device_name(), "layers": asked.layers}
    report["matmul_tflops_bf16"] = round(matmul_rate(device, True) / 1e12, 1)
    attempt(report, "packed_equals_padded", agreement)
    attempt(report, "loss_curves_fp32", compare, 200, "cuda", 8)
    for name, lengths, batch in (("nli_32", nli_lengths, 32), ("qa_32", qa_lengths, 32), ("nli_256", nli_lengths, 256)):
        table = synthetic(lengths(batch * 64), USED)
        arms: dict = {"mean_tokens": round(float(table.lengths.mean()), 1)}
        attempt(arms, "ours", ours, table, batch, asked.steps, asked.layers)
        if asked.compile:
            attempt(arms, "ours_compiled", ours, table, batch, asked.steps, asked.layers, "compile")
        if asked.eager:
            attempt(arms, "ours_without_graphs", ours, table, batch, asked.steps, asked.layers, "eager")
        attempt(arms, "trainer_grouped", trainer, table, batch, asked.steps, asked.layers)
        peer = arms["trainer_grouped"].get("examples_per_s")
        if peer:
            mean_flops = training_flops(our_shape(asked.layers), tuple(table.lengths.tolist())) / len(table)
            arms["trainer_grouped"]["mfu"] = peer * mean_flops / (report["matmul_tflops_bf16"] * 1e12)
            arms["ours_is_faster_by"] = {
                arm: round(arms[arm]["examples_per_s"] / peer, 3)
                for arm in ("ours", "ours_compiled", "ours_without_graphs") if "examples_per_s" in arms.get(arm, {})
            }  # fmt: skip
        report[name] = arms
    table = synthetic(nli_lengths(32 * 64), USED)
    repeats: dict = {}
    attempt(repeats, "first", ours, table, 32, 6, 4)
    attempt(repeats, "second", ours, table, 32, 6, 4)
    attempt(report, "resumed", resumed, table)
    report["same_seed_same_weights"] = repeats["first"].get("weights", 0) == repeats["second"].get("weights", 1)
    if not asked.no_profile:
        attempt(report, "profile_nli_32", profile, table, 32, asked.layers)
    print(json.dumps(report, indent=None if asked.json else 1))


def our_shape(layers: int):
    """What `training_flops` reads, without building a model."""
    from types import SimpleNamespace

    config = shape(layers)
    return SimpleNamespace(hidden_size=config.hidden_size, layers=layers, config=config)


if __name__ == "__main__":
    main()
