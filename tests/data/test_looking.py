"""What `data add` takes files for, what it writes, and that mistakes leave nothing behind."""

import gzip
import json

import pytest
import yaml
from click.testing import CliRunner

from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.contracts.lint import lint
from xtreme_dag.core.errors import UserError
from xtreme_dag.data.looking import look
from xtreme_dag.data.prepare.prepare import canonical
from xtreme_dag.program.cli import program
from xtreme_dag.wiring.tables import prepare_stage

PAIRS = [("ein Satz", "noch einer", "neutral"), ("Tür", 'er sagt "ja"', "entailment"), ("a", "b", "contradiction")]
TAGS = [(["Das", "ist"], ["PRON", "AUX"]), (["Ja"], ["INTJ"])]
QA = {"data": [{"title": "t", "paragraphs": [{"context": "Lima ist groß", "qas": [
    {"id": "1", "question": "Was?", "answers": [{"text": "Lima", "answer_start": 0}]}]}]}]}  # fmt: skip


def conllu():
    rows = []
    for words, tags in TAGS:
        for number, (word, tag) in enumerate(zip(words, tags, strict=True), start=1):
            rows.append("\t".join([str(number), word, "_", tag, "_", "_", str(number - 1), "_", "_", "_"]))
        rows.append("")
    return "# sent_id = 1\n" + "\n".join(rows) + "\n"


def named(heads, separator="\t"):
    return "\n".join(separator.join(row) for row in [heads, *PAIRS])


CASES = {
    "train-de.tsv": (named(("premise", "hypothesis", "gold_label")), "pair_classification", "pairs_named", 3),
    "de/validation.csv": (
        'sentence1,Sentence2,label,idx\n"a, b",c,yes,1\n"d\ne",f,no,2\n', "pair_classification", "pairs_csv", 2,
    ),
    "test_de.jsonl": (
        "\n".join(json.dumps({"premise": a, "hypothesis": b, "label": n}) for n, (a, b, _) in enumerate(PAIRS)),
        "pair_classification", "pairs_jsonl", 3,
    ),
    "snli.train.de.jsonl": (
        "\n".join(json.dumps({"sentence1": "a", "sentence2": "b", "gold_label": label}) for label in ("yes", "no", "-")),
        "pair_classification", "pairs_jsonl", 2,
    ),
    "plain.de.train.tsv": ("\n".join("\t".join(row) for row in PAIRS * 2), "pair_classification", "pairs", 6),
    "choices.train.de.jsonl": (
        json.dumps({"question": "Was?", "choices": ["a", "b"], "answer": 1}), "multiple_choice", "choices_jsonl", 1,
    ),
    "copa.de.test.csv": ("premise,choice1,choice2,label\nx,y,z,0\np,q,r,1\n", "multiple_choice", "choices_csv", 2),
    "squad-test-de.json": (json.dumps(QA), "span_qa", "squad", 1),
    "de_gsd-ud-dev.conllu": (conllu(), "tagging", "conllu", 2),
    "ner.train.de.txt": ("Das\tPRON\nist\tAUX\n\nJa\tINTJ\n", "tagging", "tags", 2),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_what_a_file_is_taken_for(tmp_path, name, packed):
    text, format, reader, rows = CASES[name]
    path = tmp_path / (name + ".gz" * packed)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    found = look(path, columns={}, language=None, split=None)
    split = next(
        split for part, split in {"train": "train", "val": "dev", "dev": "dev", "test": "test"}.items() if part in name
    )
    assert (found.format, found.reader, found.rows) == (format, reader, rows)
    assert (found.language, found.split, found.script) == ("de", split, "Latin")
    # What is written is read back as it was taken for, and follows the contract that is written with it.
    done = CliRunner().invoke(program, ["data", "add", str(path), "--name", "mine", "--to", str(tmp_path)])
    assert done.exit_code == 0, done.output
    dataset = load_catalogue().dataset("mine")
    from xtreme_dag.catalogue.sources import open_source

    located = open_source("miniworld").locate(dataset, "de", split)
    stage = prepare_stage(dataset, "de", dataset.split(split), located, limit=None)
    assert len(canonical(stage.params, located.files, {})[0]) == rows
    assert lint(tmp_path / "contracts" / "mine.odcs.yaml", load_catalogue()) == []
    assert set(dataset.labels) == set(found.labels)


def test_columns_may_be_said_and_a_wrong_one_is_named(tmp_path):
    path = tmp_path / "train-de.tsv"
    path.write_text(named(("erster", "zweiter", "urteil")))
    with pytest.raises(UserError, match="its first line has: erster, zweiter, urteil"):
        look(path, columns={}, language=None, split=None)
    columns = {"text_a": "erster", "text_b": "zweiter", "label": "urteil"}
    assert look(path, columns=columns, language=None, split=None).options == columns
    with pytest.raises(UserError, match="did you mean 'urteil'"):
        look(path, columns={**columns, "label": "urteill"}, language=None, split=None)


def test_files_of_several_calls_become_one_dataset(tmp_path):
    for name in ("train-qu.tsv", "test-qu.tsv", "test-nah.tsv"):
        (tmp_path / name).write_text(named(("premise", "hypothesis", "label")))

    def add(*arguments):
        return CliRunner().invoke(
            program, ["data", "add", *map(str, arguments), "--name", "mine", "--to", str(tmp_path)]
        )

    assert add(tmp_path / "train-qu.tsv", "--licence", "CC0").exit_code == 0
    entry = tmp_path / "catalogue" / "mine.yaml"
    assert "target" not in yaml.safe_load(entry.read_text())
    refused = add(tmp_path / "test-qu.tsv")
    assert refused.exit_code == 1 and "--more" in str(refused.exception.fix)
    assert add(tmp_path / "test-qu.tsv", tmp_path / "test-nah.tsv", "--more").exit_code == 0
    made = yaml.safe_load(entry.read_text())
    assert made["licence"] == "CC0" and made["languages"] == "nah qu" and made["target"]["train"]["split"] == "train"
    assert [one["files"]["table"] for one in made["splits"]["test"]["layouts"]] == ["test-{language}.tsv"]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    twice = add(tmp_path / "test-qu.tsv", "--more")
    assert twice.exit_code == 1 and "two files" in str(twice.exception)
    wrong = add(tmp_path / "test-qu.tsv", "--more", "--language", "de", "--trained-on", "nope")
    assert wrong.exit_code == 1 and "no dataset 'nope'" in str(wrong.exception)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("data.tsv", named(("premise", "hypothesis", "label")), "does not say its language"),
        ("data-de.tsv", named(("premise", "hypothesis", "label")), "does not say its split"),
        ("train-de.json", '{"rows": []}', "no field 'data'"),
        ("train-de.txt", "just one line of text\n", "of no form that is known"),
        ("train-de.tsv", "premise\thypothesis\tlabel\na\tb\n", "2 columns"),
        ("train-de.jsonl", '{"premise": "a"}\n{"premise"', "not JSON"),
        ("train-de.csv", "premise,hypothesis,label\n", "of no form that is known"),
    ],
)
def test_what_cannot_be_added_is_said_and_nothing_is_written(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    done = CliRunner().invoke(program, ["data", "add", str(tmp_path / name), "--name", "mine", "--to", str(tmp_path)])
    assert done.exit_code == 1 and message in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_person_at_a_terminal_is_asked(tmp_path, monkeypatch):
    (tmp_path / "data.tsv").write_text(named(("premise", "hypothesis", "label")))
    monkeypatch.setattr("xtreme_dag.program.commands.data_add._person", lambda: True)
    arguments = ["data", "add", str(tmp_path / "data.tsv"), "--name", "mine", "--to", str(tmp_path)]
    done = CliRunner().invoke(program, arguments, input="qu\nnope\ntrain\n")
    assert done.exit_code == 0, done.output
    assert load_catalogue().dataset("mine").split("train").languages == ("qu",)
