"""Reads gold answers and tags from the release files beside the checkout."""

import gzip
import json
from pathlib import Path

UPOS = [
    "ADJ",
    "ADP",
    "ADV",
    "AUX",
    "CCONJ",
    "DET",
    "INTJ",
    "NOUN",
    "NUM",
    "PART",
    "PRON",
    "PROPN",
    "PUNCT",
    "SCONJ",
    "SYM",
    "VERB",
    "X",
]


def text_of(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text(encoding="utf-8")


def gold_answers(path, most=None):
    articles = json.loads(text_of(path))["data"]
    answers = [[a["text"] for a in qa["answers"]] for x in articles for p in x["paragraphs"] for qa in p["qas"]]
    return answers[:most]


def gold_tags(path, most=None):
    """The last tab-separated field of each line; blank lines part sentences."""
    blocks = text_of(path).replace("\r\n", "\n").split("\n\n")
    sentences = [[line.split("\t")[-1].strip() for line in block.splitlines() if line.strip()] for block in blocks]
    return [tags for tags in sentences if tags][:most]
