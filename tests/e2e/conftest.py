"""A copy of the project that tests may edit, release files made from the miniworld, and one Prefect server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from xtreme_dag.miniworld.source import table

LANGUAGES = {"en": "en", "de": "qaa", "ru": "qac"}
LASER = {"de": "deu", "ru": "rus"}
NLI = ["contradiction", "entailment", "neutral"]
UPOS = ["ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"]  # fmt: skip


def write_release(folder: Path, *, train: int = 60, test: int = 24) -> None:
    """Files as XTREME's download script leaves them, in three languages, with sentences of the miniworld."""
    for name in ("xnli", "udpos", "squad", "xquad", "tatoeba"):
        (folder / name).mkdir(parents=True)

    def rows(format_: str, dataset: str, code: str, split: str, count: int, labels: list[str] | None = None):
        return table(
            format_, dataset=dataset, language=LANGUAGES[code], split=split, rows=count, seed=3, labels=labels
        ).to_pylist()

    gold: list[str] = []
    for code in LANGUAGES:
        for split, count in (("train", train), ("dev", test)):
            lines = rows("pair_classification", "xnli", code, split, count, NLI)
            text = "".join(f"{row['text_a']}\t{row['text_b']}\t{row['label']}\n" for row in lines)
            (folder / "xnli" / f"{split}-{code}.tsv").write_text(text)
        lines = rows("pair_classification", "xnli", code, "test", test, NLI)
        gold = [row["label"] for row in lines]
        (folder / "xnli" / f"test-{code}.tsv").write_text(
            "".join(f"{row['text_a']}\t{row['text_b']}\n" for row in lines)
        )
        for split, count in (("train", train), ("test", test)):
            sentences = rows("tagging", "udpos", code, split, count, UPOS)
            blocks = [
                "".join(f"{word}\t{tag}\n" for word, tag in zip(row["words"], row["tags"], strict=True))
                for row in sentences
            ]
            (folder / "udpos" / f"{split}-{code}.tsv").write_text("\n".join(blocks))
        (folder / "xquad" / f"xquad.{code}.json").write_text(squad(rows("span_qa", "xquad", code, "test", test)))
        if code != "en":
            pairs = rows("parallel", "tatoeba", code, "test", test)
            stem = folder / "tatoeba" / f"tatoeba.{LASER[code]}-eng."
            Path(f"{stem}{LASER[code]}").write_text("".join(row["text"] + "\n" for row in pairs))
            Path(f"{stem}eng").write_text("".join(row["english"] + "\n" for row in pairs))
    (folder / "xnli" / "test-labels.txt").write_text("".join(f"{label}\n" for label in gold))
    (folder / "squad" / "train-v1.1.json").write_text(squad(rows("span_qa", "squad_v1", "en", "train", train)))


def squad(rows: list[dict]) -> str:
    """SQuAD v1.1 JSON of canonical rows."""
    paragraphs = [
        {
            "context": row["context"],
            "qas": [
                {
                    "id": row["id"],
                    "question": row["question"],
                    "answers": [{"text": answer["text"], "answer_start": answer["start"]} for answer in row["answers"]],
                }
            ],
        }
        for row in rows
    ]
    return json.dumps(
        {"version": "1.1", "data": [{"title": "Miniworld", "paragraphs": paragraphs}]}, ensure_ascii=False
    )


STUDY = {
    "study": "tiny",
    "question": "Does it work?",
    "data": {"folder": "release"},
    "model": {"pretrain": {"kind": "planted", "seed": 1, "steps": 2, "sentences": 20}},
    "languages": list(LANGUAGES),
    "seeds": [1],
    "intermediate": {
        "none": None,
        "english": {"mixture": [{"dataset": "xnli", "languages": ["en"]}], "budget": {"examples": 40}},
        "mixed": {"mixture": [{"dataset": "xnli", "languages": ["en", "de"]}], "budget": {"examples": 40}},
    },
    "targets": ["xnli", "udpos", "xquad", "tatoeba"],
    "recipe": {"name": "quick", "intermediate": {"default": {"epochs": 1}}, "target": {"default": {"epochs": 1}}},
    "compare": {"baseline": "english"},
}


class Checkout:
    """A copy of the project in a folder of its own, a study, raw files and a home."""

    def __init__(self, folder: Path, repository: Path, api: str) -> None:
        self.folder = folder
        self.api = api
        ignore = shutil.ignore_patterns("__pycache__")
        for part in ("xtreme_dag", "tasks", "flows", "data_contracts", "studies"):
            shutil.copytree(repository / part, folder / part, ignore=ignore)
        for contract in (folder / "data_contracts").glob("*.odcs.yaml"):
            document = yaml.safe_load(contract.read_text())
            # The made-up release is smaller than the published one.
            document["customProperties"] = [
                entry for entry in document["customProperties"] if entry["property"] != "publishedRows"
            ]
            contract.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
        write_release(folder / "release")
        self.write_study(STUDY)

    def write_study(self, document: dict) -> None:
        (self.folder / "study.yaml").write_text(yaml.safe_dump(document, sort_keys=False))

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XTREME_DAG", "PREFECT"))}
        return {
            **kept,
            "PREFECT_API_URL": self.api,
            "PYTHONPATH": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
        }

    def command(self, *arguments: str, home: str = "home") -> list[str]:
        return [sys.executable, "-m", "xtreme_dag", *arguments, "--home", str(self.folder / home)]

    def call(self, *arguments: str, home: str = "home", check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments, home=home), cwd=self.folder, env=self.environment(), capture_output=True, text=True
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def plan(self, *arguments: str, home: str = "home") -> dict:
        return json.loads(self.call("plan", "study.yaml", "--json", *arguments, home=home).stdout)

    def run(self, *arguments: str, home: str = "home") -> dict:
        return json.loads(self.call("run", "study.yaml", "--json", *arguments, home=home).stdout)

    def digests(self, home: str = "home") -> dict[str, str]:
        """Stage name -> artifact digest, of a finished study."""
        records = self.folder / home / "store" / "records"
        keys = {stage["name"]: stage["key"] for stage in self.plan(home=home)["stages"]}
        return {
            name: json.loads((records / key[:2] / f"{key}.json").read_text())["digest"] for name, key in keys.items()
        }

    def copy_home(self, name: str) -> str:
        shutil.copytree(self.folder / "home", self.folder / name, symlinks=True)
        return name

    def edited(self, file: str, old: str, new: str):
        """A context in which a file reads differently."""
        return _Edit(self.folder / file, old, new)


class _Edit:
    def __init__(self, path: Path, old: str, new: str) -> None:
        self.path, self.old, self.new = path, old, new

    def __enter__(self):
        self.before = self.path.read_text()
        assert self.old in self.before, f"{self.path} does not hold {self.old!r}"
        self.path.write_text(self.before.replace(self.old, self.new, 1))

    def __exit__(self, *_exception):
        self.path.write_text(self.before)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, repository: Path, prefect_api: str) -> Checkout:
    """A checkout whose study has run."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"), repository, prefect_api)
    outcome = checkout.run()
    assert outcome["stages"]["failed"] == outcome["stages"]["not run"] == 0
    return checkout
