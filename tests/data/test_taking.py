"""A dataset of the hub becomes one of the user's own: copied at a commit, looked at, checked."""

import io
import json
import os
import subprocess
import sys

import pytest
import yaml
from datasets import ClassLabel, Dataset, Features, List, Value

from tests.catalogue.hub_server import HubServer, Repository


def parquet(rows, **features):
    """A file as `datasets` pushes it: class labels are numbers whose names are in the file's metadata."""
    made = io.BytesIO()
    Dataset.from_list(rows, features=Features(features) if features else None).to_parquet(made)
    return made.getvalue()


def nli(count, first=0, text=Value("string")):
    rows = [
        {"premise": f"un texto {n}", "hypothesis": f"otro {n}", "label": n % 3} for n in range(first, first + count)
    ]
    return parquet(
        rows, premise=text, hypothesis=text, label=ClassLabel(names=["entailment", "neutral", "contradiction"])
    )


TAGGED = [{"tokens": ["Juan", "corre", "."], "ner_tags": [1, 0, 0]}, {"tokens": ["Ana"], "ner_tags": [1]}]
ASKED = [{"id": "q1", "title": "t", "context": "Juan corre.", "question": "quien?",
          "answers": {"text": ["Juan"], "answer_start": [0]}}]  # fmt: skip


def odd(split, path):
    """A card with one configuration, of one split."""
    return f"---\nconfigs:\n- config_name: es\n  data_files:\n  - split: {split}\n    path: '{path}'\n---\n".encode()


@pytest.fixture(scope="module")
def hub():
    card = "---\nconfigs:\n- config_name: es\n  data_files:\n  - split: train\n    path: es/train*\n  - split: test\n    path: es/test*\n- config_name: qu\n  data_files: qu/*\n---\n"
    tags = Features(tokens=List(Value("string")), ner_tags=List(ClassLabel(names=["O", "B-PER"])))
    repositories = {
        "someone/nli": Repository("a" * 40, {
            "README.md": card.encode(), "es/train-00000-of-00002.parquet": nli(4), "es/train-00001-of-00002.parquet": nli(2, 4),
            "es/test.parquet": nli(3, 9), "qu/train.parquet": nli(3),
        }),
        "someone/ner": Repository("b" * 40, {"es/test.parquet": parquet(TAGGED, **tags)}),
        "someone/qa": Repository("c" * 40, {"qa.py": b"code"}, others={
            "refs/convert/parquet": Repository("d" * 40, {"default/test/0000.parquet": parquet(ASKED)}),
        }),
        "someone/script": Repository("e" * 40, {"script.py": b"code"}),
        "someone/writer": Repository("f" * 40, {"README.md": odd("../../../train", "*.parquet"), "a.parquet": nli(3)}),
        "someone/reader": Repository("1" * 40, {"README.md": odd("train", "../../../**/*.json"), "a.parquet": nli(3)}),
        "someone/rooted": Repository("2" * 40, {"README.md": odd("train", "/etc/*.json"), "a.parquet": nli(3)}),
    }  # fmt: skip
    with HubServer(repositories) as server:
        yield server


# In a process of its own, since the clients read their environment when they are imported.
CALLS = """
import json, sys
from click.testing import CliRunner
from xtreme_dag.program.commands import data
for arguments in json.loads(sys.argv[1]):
    done = CliRunner().invoke(data.command, arguments)
    print(json.dumps([done.exit_code, done.output + str(done.exception)]))
"""
ADDED = {
    "nli": ["someone/nli", "--config", "es"],
    "ner": ["someone/ner", "--config", "es"],
    "qa": ["someone/qa", "--language", "es"],  # code, which is never run: its Parquet conversion
}
REFUSED = [
    (["someone/nli"], "--config: es, qu"),
    (["someone/nli", "--config", "fr"], "no configuration 'fr'"),
    (["someone/nothing"], "no such dataset"),
    (["someone/script"], "never run, and it has no Parquet conversion"),
    (["someone/nli", "--config", "es", "--revision", "0" * 40], "no commit or branch"),
    (["someone/train.tsv"], "no such file"),
    (["someone/writer"], "'../../../train' can be no name of a file"),
    (["someone/reader"], "leads out of the repository"),
    (["someone/rooted"], "leads out of the repository"),
]


@pytest.fixture(scope="module")
def told(hub, tmp_path_factory):
    """The folder of the catalogue, and what each call said."""
    root = tmp_path_factory.mktemp("taken")
    env = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    env |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(root / "home"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    calls = [["add", *arguments, "--to", str(root / "mine")] for arguments in ADDED.values()]
    calls += [["add", *arguments, "--to", str(root / "other")] for arguments, _ in REFUSED]
    done = subprocess.run(
        [sys.executable, "-c", CALLS, json.dumps(calls)], env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return root, [json.loads(line) for line in done.stdout.splitlines()]


def entry(root, name):
    return yaml.safe_load((root / "mine" / "catalogue" / f"{name}.yaml").read_text())


def test_pairs_of_one_configuration(told):
    root, said = told
    assert said[0][0] == 0, said[0][1]
    found = entry(root, "nli")
    assert found["format"] == "pair_classification" and found["languages"] == "es"
    assert found["labels"] == ["contradiction", "entailment", "neutral"]
    assert {name: split["counts"] for name, split in found["splits"].items()} == {"train": {"es": 6}, "test": {"es": 3}}
    assert found["title"] == f"someone/nli of the hub at {'a' * 40}"
    rows = [json.loads(line) for line in (root / "mine/data/nli/es/train.jsonl").read_text().splitlines()]
    assert [row["label"] for row in rows[:3]] == ["entailment", "neutral", "contradiction"]
    command = [
        sys.executable,
        "-m",
        "xtreme_dag",
        "data",
        "check",
        "--dataset",
        "nli",
    ]
    env = {**os.environ, "XTREME_DAG_CATALOGUE": str(root / "mine")}
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_tags_and_answers(told):
    root, said = told
    assert said[1][0] == said[2][0] == 0, said[1:3]
    assert entry(root, "ner")["format"] == "tagging" and entry(root, "ner")["labels"] == ["B-PER", "O"]
    assert entry(root, "qa")["format"] == "span_qa" and "d" * 40 in entry(root, "qa")["title"]


def test_what_cannot_be_had_is_said_and_nothing_is_written(told):
    root, said = told
    for (arguments, words), (code, text) in zip(REFUSED, said[len(ADDED) :], strict=True):
        assert code == 1 and words in text, (arguments, text)
    assert not (root / "other").exists() and not list(root.parent.glob("train*"))
