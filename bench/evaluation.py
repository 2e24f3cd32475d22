"""Evaluation speed, each peer in the same run: XNLI in 15 languages, Tatoeba in 41, a sweep over 25 layers.

    python -m bench.evaluation [xnli|xlmr|tatoeba|sweep ...] [--rows 120] [--pairs N] [--rounds 3] [--threads 1] > evaluation.json

Peers of `xnli`: one loop per language with a model load each and examples padded to 128 (the XTREME scripts' way), and
`Trainer.predict` with dynamic padding in random order. Peer of `tatoeba`: per language a model load, tokenisation, all
layers kept, batches of 100 padded to their longest, in file order (the way of `evaluate_retrieval.py`, without its
process start). Ours are the stage functions themselves, model load and artifacts included. The small model of the
training measurements (4 layers of 256, 8,000 words), random weights: only speed is meant. XNLI runs twice: `xnli` with
this vocabulary's lengths (mean 61: without padding and without most of the fourth layer, the matrix products are 2.8
times less) and `xlmr` with lengths like XLM-R's own (mean 40: 4.3 times less). Medians over interleaved rounds, by
wall clock and by processor time (the fairer one on a shared machine).
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from bench.peers import DATA, LABELS, SPECIALS, collate, make_tokenizer, synthetic
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.catalogue.languages import languages
from xtreme_dag.core.context import StageContext
from xtreme_dag.evaluation import engine
from xtreme_dag.evaluation.classification import evaluate_classification
from xtreme_dag.evaluation.embeddings import embed, embed_layers, special_ids
from xtreme_dag.evaluation.tatoeba import evaluate_tatoeba
from xtreme_dag.heads import HeadSpec
from xtreme_dag.heads.encoding import encode
from xtreme_dag.heads.trained import TrainedModel, save_model
from xtreme_dag.model.folder import new_encoder
from xtreme_dag.model.layers import initialise
from xtreme_dag.tables.canonical import SCHEMAS, write_table
from xtreme_dag.tables.encoded import open_encoded, write_encoded

XNLI = ["ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"]


def log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def lines(path: Path) -> list[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        return [line.rstrip("\n") for line in file]


def make_model(home: Path, texts: list[str], *, layers: int = 4) -> Path:
    """A random encoder with an NLI head, in both layouts' reach."""
    from transformers import XLMRobertaConfig

    tokenizer = make_tokenizer(texts, 8000)
    config = XLMRobertaConfig(
        vocab_size=8000, hidden_size=256, num_hidden_layers=layers, num_attention_heads=4, intermediate_size=1024,
        max_position_embeddings=514, pad_token_id=SPECIALS.index("<pad>"), bos_token_id=0, eos_token_id=2,
        num_labels=3,
    )  # fmt: skip
    model = TrainedModel(new_encoder(config, 0), {})
    initialise(model.add_head("xnli", HeadSpec(kind="classification", labels=tuple(LABELS))), 0.02, 0)
    save_model(model, home / "model", tokenizer_from=tokenizer)
    return home / "model"


def stage_inputs(home: Path, model: Path, rows: list[dict], kind: str, **params) -> dict[str, Path]:
    (home / "table").mkdir(parents=True)
    (home / "encoded").mkdir()
    write_table(pa.Table.from_pylist(rows, schema=SCHEMAS[kind]), home / "table" / "table.parquet")
    context = StageContext(out=home / "encoded", scratch=home)
    encode({"format": kind, **params}, {"table": home / "table", "tokenizer": model}, context)
    return {"model": model, "table": home / "table", "encoded": home / "encoded"}


def context(home: Path) -> StageContext:
    shutil.rmtree(home / "out", ignore_errors=True)
    (home / "out").mkdir(parents=True)
    return StageContext(out=home / "out", scratch=home)


def compare(runs: dict, rounds: int) -> dict:
    """Interleaved runs: medians of wall and processor seconds, and each peer's ratio to `ours`."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for number in range(rounds):
        for name, call in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            found[name].append((time.perf_counter() - wall, time.process_time() - cpu))
            log(f"round {number + 1} {name}: {found[name][-1][0]:.1f} s wall, {found[name][-1][1]:.1f} s processor")
    medians = {
        name: [statistics.median(column) for column in zip(*times, strict=True)] for name, times in found.items()
    }
    result: dict = {
        name: {"wall_s": round(wall, 2), "processor_s": round(cpu, 2)} for name, (wall, cpu) in medians.items()
    }
    for name in runs:
        if name != "ours":
            for at, clock in enumerate(("wall", "processor")):
                ratio = statistics.median(
                    peer[at] / own[at] for peer, own in zip(found[name], found["ours"], strict=True)
                )
                result[name][f"times_slower_{clock}"] = round(ratio, 2)
    return result


def with_other_lengths(folder: Path, random: np.random.Generator) -> None:
    """Puts random ids of lengths like those under XLM-R's tokenizer (lognormal, mean 40) in the place of the tokens."""
    table = open_encoded(folder)
    lengths = np.clip(random.lognormal(3.58, 0.45, len(table)), 8, 128).astype(np.int64)
    drawn = synthetic(lengths, 8000, seed=int(random.integers(1 << 30)))
    info = {**table.info, "tokens": int(lengths.sum()), "longest": int(lengths.max())}
    # A copy: the table lies in the file that is written anew.
    examples = pa.Table.from_pylist(table.examples.to_pylist(), schema=table.examples.schema)
    write_encoded(folder, examples, drawn.sequences, info)


def bench_xnli(each: int, rounds: int, *, as_xlmr: bool) -> dict:
    from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    home = Path(tempfile.mkdtemp(prefix="bench-"))
    labels = lines(DATA / "xnli" / "test-labels.txt")
    rows = {}
    for language in XNLI:
        pairs = [line.split("\t")[:2] for line in lines(DATA / "xnli" / f"test-{language}.tsv.gz")]
        # One in so many, so that all genres are there.
        rows[language] = [
            {"id": str(row), "language": language, "split": "test", "text_a": pairs[row][0], "text_b": pairs[row][1],
             "label": labels[row]}
            for row in range(0, len(pairs), len(pairs) // each)
        ][:each]  # fmt: skip
    texts = [row[side] for some in rows.values() for row in some for side in ("text_a", "text_b")]
    model = make_model(home, texts)
    params = {"head": "classification", "labels": LABELS, "max_length": 128}
    inputs = {
        name: stage_inputs(home / name, model, some, "pair_classification", **params) for name, some in rows.items()
    }
    features = {}
    random = np.random.default_rng(0)
    for language, paths in inputs.items():
        if as_xlmr:
            with_other_lengths(paths["encoded"], random)
        table = open_encoded(paths["encoded"])
        features[language] = [{"input_ids": ids} for ids in table.sequences["input_ids"].to_pylist()]
    every = [row for some in features.values() for row in some]
    lengths = [len(row["input_ids"]) for row in every]
    shuffled = [every[row] for row in random.permutation(len(every)).tolist()]

    def load():
        return AutoModelForSequenceClassification.from_pretrained(
            model / "encoder", num_labels=3, trust_remote_code=False
        ).eval()

    def padded() -> None:
        for some in features.values():
            peer = load()
            with torch.no_grad():
                for low in range(0, len(some), 32):
                    peer(**collate(some[low : low + 32], 128)).logits.argmax(-1)

    def trainer() -> None:
        arguments = TrainingArguments(
            output_dir=str(home / "trainer"), per_device_eval_batch_size=64, report_to="none", disable_tqdm=True,
            remove_unused_columns=False,
        )  # fmt: skip
        predict = Trainer(model=load(), args=arguments, data_collator=lambda batch: collate(batch, None)).predict
        predict(shuffled)

    def ours() -> None:
        engine._loaded.clear()
        for language, paths in inputs.items():
            facts = {"task": "xnli", "language": language, "split": "test", "labels": LABELS, "recipe": {}}
            evaluate_classification(facts, paths, context(home / language))

    result = compare({"ours": ours, "padded_128_per_language": padded, "trainer_predict_dynamic": trainer}, rounds)
    result["rows"], result["mean_tokens"] = len(lengths), round(float(np.mean(lengths)), 1)
    result["ours"]["rows_per_s"] = round(len(lengths) / result["ours"]["wall_s"], 1)
    result["targets"] = {"padded_128_per_language": 3.0, "trainer_predict_dynamic": 1.7}
    return result


def tatoeba_rows(pairs: int | None = None) -> dict[str, list[dict]]:
    rows = {}
    listed = load_catalogue().dataset("tatoeba").languages
    codes = {code: about.laser for code, about in languages().items() if code in listed}
    for language, code in codes.items():
        stem = DATA / "tatoeba" / f"tatoeba.{code}-eng"
        sides = [lines(stem.with_name(f"{stem.name}.{side}")) for side in (code, "eng")]
        rows[language] = [
            {"id": str(row), "language": language, "split": "test", "text": text, "english": english}
            for row, (text, english) in enumerate(zip(*sides, strict=True))
        ][:pairs]
    return rows


def bench_tatoeba(pairs: int | None, rounds: int) -> dict:
    from tokenizers import Tokenizer
    from transformers import AutoModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    home = Path(tempfile.mkdtemp(prefix="bench-"))
    rows = tatoeba_rows(pairs)
    model = make_model(
        home, [row[side] for some in rows.values() for row in some[:300] for side in ("text", "english")]
    )
    layer = 2

    def script() -> None:
        """Per language: load, tokenise, all layers, mean over tokens, normalise, inner products."""
        for some in rows.values():
            encoder = AutoModel.from_pretrained(
                model / "encoder", add_pooling_layer=False, trust_remote_code=False
            ).eval()
            tokenizer = Tokenizer.from_file(str(model / "tokenizer" / "tokenizer.json"))
            sides = []
            for side in ("text", "english"):
                ids = [{"input_ids": one.ids} for one in tokenizer.encode_batch([row[side] for row in some])]
                kept: list[list[np.ndarray]] = [[] for _ in range(5)]
                with torch.no_grad():
                    for low in range(0, len(ids), 100):
                        batch = collate(ids[low : low + 100], None)
                        mask = batch["attention_mask"][..., None].float()
                        for number, states in enumerate(encoder(**batch, output_hidden_states=True).hidden_states):
                            kept[number].append(((states * mask).sum(1) / mask.sum(1)).numpy())
                sides.append(np.concatenate(kept[layer]))
            foreign, english = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in sides)
            (english @ foreign.T).argmax(axis=1)

    def ours() -> None:
        engine._loaded.clear()
        for language, some in rows.items():
            shutil.rmtree(home / language, ignore_errors=True)
            paths = stage_inputs(home / language, model, some, "parallel", head="embedding", max_length=512)
            facts = {"task": "tatoeba", "language": language, "split": "test", "recipe": {"layer": layer}}
            evaluate_tatoeba(facts, paths, context(home / language))

    result = compare({"ours": ours, "script_per_language": script}, rounds)
    result["languages"], result["sentences"] = len(rows), 2 * sum(map(len, rows.values()))
    result["targets"] = {"script_per_language": 2.0}
    return result


def bench_sweep(rounds: int) -> dict:
    """All 25 states of a 24-layer encoder against its last one alone: one forward pass each."""
    home = Path(tempfile.mkdtemp(prefix="bench-"))
    some = tatoeba_rows()["de"][:400]
    model = make_model(home, [row[side] for row in some for side in ("text", "english")], layers=24)
    table = open_encoded(stage_inputs(home / "de", model, some, "parallel", head="embedding")["encoded"])
    sequences, special = engine.sequences_of([table]), special_ids(table)
    loaded = engine.cached_model(model, torch.device("cpu"))
    settings = engine.Settings(device=torch.device("cpu"), batch_tokens=engine.CPU_BATCH_TOKENS)

    def last() -> None:
        embed(sequences, special, loaded, settings, task="tatoeba", recipe={"layer": 24})

    def every() -> None:
        embed_layers(sequences, special, loaded, settings, pooling="mean")

    result = compare({"ours": last, "sweep_25": every}, rounds)
    return {"one_layer": result["ours"], "sweep_25": result["sweep_25"], "targets": {"sweep_25": 1.3}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["xnli", "xlmr", "tatoeba", "sweep", []], default=[])
    parser.add_argument("--rows", type=int, default=120, help="XNLI rows per language (the test set has 5,010)")
    parser.add_argument("--pairs", type=int, help="Tatoeba pairs per language at most (all: up to 1,000)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    parts = given.parts or ["xnli", "xlmr", "tatoeba", "sweep"]
    found: dict = {"torch": torch.__version__, "threads": given.threads, "rounds": given.rounds}
    if "xnli" in parts:
        found["xnli"] = bench_xnli(given.rows, given.rounds, as_xlmr=False)
    if "xlmr" in parts:
        found["xnli_at_lengths_like_xlmr"] = bench_xnli(given.rows, given.rounds, as_xlmr=True)
    if "tatoeba" in parts:
        found["tatoeba"] = bench_tatoeba(given.pairs, given.rounds)
    if "sweep" in parts:
        found["sweep"] = bench_sweep(given.rounds)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
