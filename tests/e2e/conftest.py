"""A copy of the project that tests may edit, release files made from the miniworld, and one Prefect server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest
import yaml

from xtreme_dag.engine.store import Store
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
SMALLER = {**STUDY, "targets": ["xnli"], "intermediate": {"none": None}, "compare": {"baseline": "none"}}

# Several commands of the program in one process, each as if alone; on standard input their words, home and all.
SEVERAL = """
import contextlib, io, json, sys
from xtreme_dag.program.cli import main
found = []
for words in json.load(sys.stdin):
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(words)
        except SystemExit as end:
            found.append([words, end.code, *(stream.buffer.getvalue().decode() for stream in (out, err))])
print(json.dumps(found))
"""


class Checkout:
    """A copy of the project in a folder of its own, a study, raw files and a home."""

    def __init__(self, folder: Path, repository: Path, api: str) -> None:
        self.folder = folder
        self.api = api
        # With their bytecode, where there is some: it counts for a file until that is edited, and none is written here.
        for part in ("xtreme_dag", "tasks", "flows", "data_contracts", "studies"):
            shutil.copytree(repository / part, folder / part)
        for contract in (folder / "data_contracts").glob("*.odcs.yaml"):
            document = yaml.safe_load(contract.read_text())
            # The made-up release is smaller than the published one.
            document["customProperties"] = [
                entry for entry in document["customProperties"] if entry["property"] != "publishedRows"
            ]
            contract.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
        write_release(folder / "release")
        self.write_study(STUDY)
        self.write_study(SMALLER, "smaller.yaml")

    def write_study(self, document: dict, name: str = "study.yaml") -> None:
        (self.folder / name).write_text(yaml.safe_dump(document, sort_keys=False))

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

    def calls(self, *commands: tuple[str, ...], home: str = "home") -> list[subprocess.CompletedProcess[str]]:
        """Calls several commands in one process: what loading the program costs is paid once."""
        words = json.dumps([[*command, "--home", str(self.folder / home)] for command in commands])
        done = subprocess.run(
            [sys.executable, "-c", SEVERAL],
            cwd=self.folder, env=self.environment(), input=words, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return [subprocess.CompletedProcess(*found) for found in json.loads(done.stdout)]

    def plan(self, *arguments: str, home: str = "home", study: str = "study.yaml") -> dict:
        return json.loads(self.call("plan", study, "--json", *arguments, home=home).stdout)

    def run(self, *arguments: str, home: str = "home", study: str = "study.yaml") -> dict:
        """Runs a study with one worker: most of the time of so small stages goes into what each worker imports."""
        words = ("run", study, "--json", "--workers", "1", *arguments)
        return json.loads(self.call(*words, home=home).stdout)

    def record(self, key: str, home: str = "home") -> Path:
        return Store(self.folder / home / "store").record_path(key)

    def artifact(self, digest: str, home: str = "home") -> Path:
        return Store(self.folder / home / "store").artifact(digest)

    def digests(self, home: str = "home", study: str = "study.yaml") -> dict[str, str]:
        """Stage name -> artifact digest, of a finished study."""
        return {
            stage["name"]: json.loads(self.record(stage["key"], home).read_text())["digest"]
            for stage in self.plan(home=home, study=study)["stages"]
        }

    def copy_home(self, name: str) -> str:
        shutil.copytree(self.folder / "home", self.folder / name, symlinks=True)
        return name

    def home_of(self, name: str, kinds: Collection[str]) -> str:
        """A home that has what stages of some kinds made in the finished one, and nothing else."""
        for stage in self.plan()["stages"]:
            if stage["kind"] in kinds:
                digest = json.loads(self.record(stage["key"]).read_text())["digest"]
                shutil.copytree(self.artifact(digest), self.artifact(digest, name), dirs_exist_ok=True)
                self.record(stage["key"], name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.record(stage["key"]), self.record(stage["key"], name))
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
