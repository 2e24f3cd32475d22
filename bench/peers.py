"""What the measurements share: the peers (transformers' Trainer), the data and the medians. Not a measurement itself."""

from __future__ import annotations

import gzip
import hashlib
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch

from xtreme_dag.core.context import StageContext
from xtreme_dag.heads.encoding import encode
from xtreme_dag.tables.canonical import SCHEMAS, write_table
from xtreme_dag.tables.encoded import EncodedTable, open_encoded

LABELS = ["contradiction", "entailment", "neutral"]
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def xnli_rows(languages: tuple[str, ...], each: int) -> list[dict]:
    """The first rows of XNLI dev in some languages."""
    rows = []
    for language in languages:
        with gzip.open(DATA / "xnli" / f"dev-{language}.tsv.gz", "rt", encoding="utf-8", newline="") as file:
            lines = [line.rstrip("\n").split("\t") for line in file][:each]
        for number, (premise, hypothesis, label) in enumerate(lines):
            rows.append({"id": f"{language}-{number}", "language": language, "split": "dev", "text_a": premise,
                         "text_b": hypothesis, "label": label})  # fmt: skip
    return rows


def squad_rows(questions: int) -> list[dict]:
    """The first questions of SQuAD v1.1 dev, one in five, so that many articles are there."""
    with gzip.open(DATA / "squad" / "dev-v1.1.json.gz", "rt", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    rows = [
        {"id": question["id"], "language": "en", "split": "dev", "title": article["title"],
         "context": paragraph["context"], "question": question["question"], "answerable": True,
         "answers": [{"text": answer["text"], "start": answer["answer_start"]} for answer in question["answers"]]}
        for article in articles for paragraph in article["paragraphs"] for question in paragraph["qas"]
    ]  # fmt: skip
    return rows[::5][:questions]


def make_tokenizer(texts: list[str], size: int) -> Path:
    """A Unigram tokenizer trained on the texts, in XLM-R's manner; kept in the temporary folder for the next run."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    identity = hashlib.sha256(json.dumps([size, texts]).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"xtreme-dag-bench-tokenizer-{identity}"
    if (folder / "tokenizer_config.json").is_file():
        return folder
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    roles = dict(zip(("cls", "pad", "sep", "unk", "mask"), SPECIALS, strict=True))
    settings = {f"{role}_token": token for role, token in roles.items()}
    settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["input_ids", "attention_mask"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def encoded(rows: list[dict], kind: str, tokenizer: Path, **params) -> EncodedTable:
    """Rows as an encoded table in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    (folder / "table").mkdir()
    (folder / "out").mkdir()
    write_table(pa.Table.from_pylist(rows, schema=SCHEMAS[kind]), folder / "table" / "table.parquet")
    context = StageContext(out=folder / "out", scratch=folder)
    encode({"format": kind, **params}, {"table": folder / "table", "tokenizer": tokenizer}, context)
    return open_encoded(folder / "out")


def synthetic(lengths: np.ndarray, vocabulary: int, seed: int = 0) -> EncodedTable:
    """A classification table of random ids with these lengths."""
    random = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    ids = random.integers(5, vocabulary, size=int(lengths.sum()), dtype=np.int32)
    count = len(lengths)
    examples = pa.table({"id": [str(i) for i in range(count)], "language": ["en"] * count,
                         "label": pa.array(random.integers(3, size=count), pa.int32())})  # fmt: skip
    sequences = pa.table({"example": pa.array(np.arange(count), pa.int32()),
                          "input_ids": pa.ListArray.from_arrays(pa.array(offsets), pa.array(ids))})  # fmt: skip
    info = {"head": "classification", "splits": ["dev"], "languages": ["en"], "vocabulary_size": vocabulary,
            "special_ids": {"pad": 1, "mask": 4, "cls": 0, "sep": 2, "unk": 3}}  # fmt: skip
    return EncodedTable(folder=Path("synthetic"), info=info, examples=examples, sequences=sequences)


def features(table: EncodedTable) -> list[dict]:
    """The examples as Trainer wants them."""
    label = table.per_example("label").tolist() if "label" in table.examples.column_names else None
    rows = []
    for number in range(len(table.lengths)):
        low, high = int(table.offsets[number]), int(table.offsets[number + 1])
        row = {"input_ids": table.ids[low:high].tolist(), "length": high - low}
        if label is not None:
            row["labels"] = label[number]
        else:
            row |= {f"{name}_positions": int(table.per_sequence(name)[number]) for name in ("start", "end")}
        rows.append(row)
    return rows


def collate(rows: list[dict], width: int | None) -> dict:
    """A padded batch: to the longest example, or to `width`."""
    width = width or max(len(row["input_ids"]) for row in rows)
    ids = torch.ones(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
        mask[number, : len(row["input_ids"])] = 1
    gold = {key: torch.tensor([row[key] for row in rows]) for key in rows[0] if key not in ("input_ids", "length")}
    return {"input_ids": ids, "attention_mask": mask, **gold}


def trainer_seconds(model, rows: list[dict], *, batch: int, width: int | None = None, grouped: bool = False,
                    collator=None, **arguments) -> Seconds:  # fmt: skip
    """What Trainer's loop takes for the rows, once."""
    from transformers import PrinterCallback, Trainer, TrainingArguments
    from transformers.utils import logging

    logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder, per_device_train_batch_size=batch, num_train_epochs=1, learning_rate=1e-5,
            save_strategy="no", logging_strategy="no", report_to="none", disable_tqdm=True,
            remove_unused_columns=False, seed=1, length_column_name="length",
            train_sampling_strategy="group_by_length" if grouped else "random", **arguments,
        )  # fmt: skip
        trainer = Trainer(
            model=model, args=settings, train_dataset=rows,
            data_collator=collator or (lambda features: collate(features, width)),
        )  # fmt: skip
        trainer.pop_callback(PrinterCallback)
        with Clock() as clock:
            trainer.train()
        return clock.spent


class Seconds(NamedTuple):
    """What a block took."""

    wall: float
    cpu: float


class Clock:
    """Wall seconds of a block, and processor seconds of all its threads together: on a machine with busy neighbours
    the latter say more.
    """

    def __enter__(self):
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_):
        self.spent = Seconds(wall=time.perf_counter() - self._wall, cpu=time.process_time() - self._cpu)


def interleaved(runs: dict, rounds: int, log=lambda line: None) -> dict[str, list[Seconds]]:
    """Calls each run once per round, in turn, so that a busy neighbour meets all of them; name -> results."""
    results: dict[str, list[Seconds]] = {name: [] for name in runs}
    for number in range(rounds):
        for name, call in runs.items():
            results[name].append(call())
            wall, cpu = results[name][-1]
            log(f"round {number + 1} {name}: {wall:.2f} s, {cpu:.2f} s of processors")
    return results


def summary(results: dict[str, list[Seconds]], items: int, ours: str = "ours") -> dict:
    """Seconds of every round, items/s, and how many times faster ours is: the ratio of medians, by both clocks.

    Args:
        results: arm -> one entry per round.
        items: what one call worked through.
        ours: the arm that the others are compared with.
    """
    seconds = {
        name: {clock: [round(getattr(value, clock), 3) for value in values] for clock in Seconds._fields}
        for name, values in results.items()
    }
    medians = {
        name: {clock: statistics.median(values) for clock, values in clocks.items()} for name, clocks in seconds.items()
    }
    return {
        "items": items,
        "seconds": seconds,
        "items_per_s": {name: round(items / clocks["wall"], 2) for name, clocks in medians.items()},
        "ours_is_faster_by": {
            name: {clock: round(value / medians[ours][clock], 3) for clock, value in clocks.items()}
            for name, clocks in medians.items()
            if name != ours
        },
    }
