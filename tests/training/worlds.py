"""A tiny world for the training room's tests: a tokenizer, base models and tables of every format, all generated."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from xtreme_dag.core.context import StageContext
from xtreme_dag.heads.encoding import encode
from xtreme_dag.tables.canonical import SCHEMAS, write_table

WORDS = 60
LABELS = ["no", "yes"]
TAGS = ["O", "A", "B"]
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def make_tokenizer(folder: Path) -> Path:
    """Whole words w0..w59 with XLM-R's special tokens."""
    vocabulary = {token: number for number, token in enumerate([*SPECIALS, *(f"w{i}" for i in range(WORDS))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    roles = dict(zip(("bos", "pad", "eos", "unk", "mask"), SPECIALS, strict=True))
    settings = {f"{role}_token": token for role, token in roles.items()} | {
        "model_input_names": ["input_ids", "attention_mask"], "tokenizer_class": "PreTrainedTokenizerFast"}  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def tiny_config(kind: str = "xlm-roberta", *, dropout: float = 0.0, vocabulary: int = len(SPECIALS) + WORDS) -> Any:
    """A configuration of 2 layers of 32."""
    from transformers import AutoConfig

    sizes = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 130,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
    }
    return AutoConfig.for_model(kind, **sizes)


def make_base(folder: Path, kind: str = "xlm-roberta", *, dropout: float = 0.0, seed: int = 0) -> Path:
    """A base model folder in Hugging Face's layout, randomly initialised, with the tokenizer."""
    from transformers import AutoModel

    torch.manual_seed(seed)
    model = AutoModel.from_config(tiny_config(kind, dropout=dropout))
    model.save_pretrained(str(folder))
    return make_tokenizer(folder)


def sentence(random: np.random.Generator, low: int = 3, high: int = 20) -> list[str]:
    """A few random words."""
    return [f"w{number}" for number in random.integers(WORDS, size=random.integers(low, high))]


def rows(kind: str, count: int, *, seed: int = 0, language: str = "en", split: str = "train") -> list[dict[str, Any]]:
    """Rows of a canonical format whose gold can be learnt: it hangs on single words."""
    random = np.random.default_rng([seed, len(kind)])
    made = []
    for number in range(count):
        head = {"id": f"{kind}-{number}", "language": language, "split": split}
        words = sentence(random)
        if kind == "pair_classification":
            other = sentence(random)
            label = LABELS[int(words[0][1:]) % 2]
            made.append({**head, "text_a": " ".join(words), "text_b": " ".join(other), "label": label})
        elif kind == "multiple_choice":
            choices = [" ".join(sentence(random, 1, 4)) for _ in range(2 + number % 3)]
            made.append({**head, "context": " ".join(words), "question": "w1", "choices": choices,
                         "label": number % len(choices)})  # fmt: skip
        elif kind == "tagging":
            made.append({**head, "words": words, "tags": [TAGS[int(word[1:]) % 3] for word in words]})
        elif kind == "span_qa":
            words = sentence(random, 8, 60)
            context = " ".join(words)
            at = int(random.integers(len(words)))
            start = len(" ".join(words[:at])) + (at > 0)
            answers = [{"text": words[at], "start": start}] if number % 4 else []
            made.append({**head, "title": "t", "context": context, "question": words[at], "answers": answers,
                         "answerable": bool(answers)})  # fmt: skip
        elif kind == "plain_text":
            made.append({**head, "text": " ".join(words), "document": "d"})
        elif kind == "parallel":
            made.append({**head, "text": " ".join(words), "english": " ".join(reversed(words))})
    return made


FORMATS = {
    "classification": "pair_classification",
    "multiple_choice": "multiple_choice",
    "tagging": "tagging",
    "span": "span_qa",
    "mlm": "plain_text",
    "dual": "parallel",
}
LABELS_OF = {"classification": LABELS, "tagging": TAGS}


def make_encoded(
    folder: Path, head: str, count: int, tokenizer: Path, *, seed: int = 0, language: str = "en",
    split: str = "train", max_length: int = 40,
) -> Path:  # fmt: skip
    """An encoded table of a head."""
    kind = FORMATS[head]
    source, out = folder / "table", folder / "encoded"
    source.mkdir(parents=True)
    out.mkdir()
    table = pa.Table.from_pylist(rows(kind, count, seed=seed, language=language, split=split), schema=SCHEMAS[kind])
    write_table(table, source / "table.parquet")
    params = {"format": kind, "head": head, "labels": LABELS_OF.get(head, []), "max_length": max_length,
              "doc_stride": 8, "query_length": 40 if head == "dual" else 8}  # fmt: skip
    encode(params, {"table": source, "tokenizer": tokenizer}, StageContext(out=out, scratch=folder))
    return out


def context(folder: Path, **options: Any) -> StageContext:
    """Surroundings of a stage in a folder."""
    (folder / "out").mkdir(parents=True)
    (folder / "scratch").mkdir(parents=True, exist_ok=True)
    return StageContext(out=folder / "out", scratch=folder / "scratch", options=options)


def digest(out: Path) -> str:
    """What a training stage wrote, as one hash."""
    files = sorted(path for path in out.rglob("*") if path.is_file())
    parts = [path.relative_to(out).as_posix().encode() + path.read_bytes() for path in files]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def run_stage(stage: str, params: dict[str, Any], inputs: dict[str, Path], folder: Path, **options: Any) -> None:
    """Runs a training stage afresh in `folder/out`, with the checkpoints of `folder/scratch`; events go to a file."""
    from xtreme_dag.training import stages

    function = {"target": stages.target, "intermediate": stages.intermediate, "pretrain_text": stages.pretrain_text}
    shutil.rmtree(folder / "out", ignore_errors=True)
    (folder / "out").mkdir(parents=True)
    (folder / "scratch").mkdir(exist_ok=True)
    with (folder / "events.jsonl").open("a") as file:

        def listen(event: Any) -> None:
            file.write(json.dumps(dict(event)) + "\n")
            file.flush()

        surroundings = StageContext(
            out=folder / "out", scratch=folder / "scratch", options={"threads": 1, **options}, listen=listen
        )
        function[stage](params, inputs, surroundings)
    (folder / "done").touch()


def events(folder: Path) -> list[dict[str, Any]]:
    """What a run reported, over all its attempts."""
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
