"""`xtreme-dag data`, as a person and as a program call it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tests.data import release_files as release
from xtreme_dag.core.errors import UserError
from xtreme_dag.program.commands.data import command


def call(*arguments: str):
    return CliRunner().invoke(command, [str(one) for one in arguments], catch_exceptions=True)


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    """A home of its own: nothing is cached."""
    monkeypatch.setenv("XTREME_DAG_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def folder(tmp_path):
    release.xnli(tmp_path, ("de", "en"), train=False)
    release.bucc(tmp_path)
    return tmp_path


def test_ls_says_what_is_here_what_stands_in_and_how_to_get_the_rest(folder):
    done = call("ls", "--source", f"folder:{folder}")
    assert done.exit_code == 0
    lines = {tuple(line.split()[:3:2]): line for line in done.output.splitlines()}
    assert "2 of 15" in lines["xnli", "train"]
    assert "stand-in: half of the premises" in lines["xnli", "train"]
    assert "0 of 7" in lines["pawsx", "test"]
    assert "x-final.tar.gz" in lines["pawsx", "test"]
    detail = call("ls", "--source", f"folder:{folder}", "--dataset", "xnli").output
    assert "missing in xnli test: ar bg el es fr" in detail
    assert "xnli: XNLI, cross-lingual natural language inference; licence: CC BY-NC 4.0" in detail


def test_ls_for_programs(folder):
    found = json.loads(call("ls", "--source", f"folder:{folder}", "--dataset", "bucc2018", "--json").output)
    (entry,) = found["datasets"]
    test = next(split for split in entry["splits"] if split["split"] == "test")
    assert (test["here"], test["missing"], test["use"]) == (["de"], ["fr", "ru", "zh"], "test")
    assert entry["licence"]


def test_ls_of_the_whole_catalogue_in_the_miniworld():
    found = json.loads(call("ls", "--json").output)
    assert len(found["datasets"]) > 30
    assert all(split["here"] for entry in found["datasets"] for split in entry["splits"])


def test_ls_of_the_hub_says_what_is_not_pinned():
    done = call("ls", "--source", "hub")
    assert done.exit_code == 0
    lines = {tuple(line.split()[:3:2]): line for line in done.output.splitlines()}
    assert "no revision of facebook/xnli is pinned" in lines["xnli", "test"]
    assert "get: bucc2018-XX-en" in lines["bucc2018", "test"]
    assert "`xtreme-dag data revisions` asks the hub for them" in done.output.splitlines()[-1]
    done = call("ls", "--source", "hub", "--revision", f"xnli={'a' * 40}", "--dataset", "xnli")
    assert "pinned" not in done.output
    assert "15 of 15" in done.output


def test_check_of_the_hub_without_commits_says_how_to_pin_them():
    assert "no revision of any dataset is pinned" in str(call("check", "--source", "hub").exception)
    done = call("check", "--source", "hub", "--revision", f"xnli={'a' * 40}", "--dataset", "mnli")
    assert "no revision of mnli is pinned" in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--source", "hub", "--revision", "xnli"), "'xnli' is not DATASET=COMMIT"),
        (("--revision", f"xnli={'a' * 40}"), "only source hub has revisions"),
        (("--source", "hub", "--revision", "xnli=main"), "'main' is not a commit"),
        (("--source", "study:no-such.yaml"), "no-such.yaml"),
    ],
)
def test_a_source_that_cannot_be_is_an_error(arguments, message):
    done = call("ls", *arguments)
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)


def test_the_source_of_a_study(tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(
        f"study: s\nquestion: q\ndata: {{hub: {{revisions: {{xnli: {'a' * 40}}}}}}}\nmodel: {{pretrain: {{kind: planted, seed: 1}}}}\n"
        "seeds: [1]\nintermediate: {none: {description: nothing}}\ntargets: [xnli]\nrecipe: quick\ncompare: {baseline: none}\n"
    )
    done = call("ls", "--source", f"study:{study}", "--dataset", "xnli", "--dataset", "mnli", "--json")
    wanting = {entry["dataset"]: entry["splits"][0]["wanting"] for entry in json.loads(done.output)["datasets"]}
    assert wanting == {"xnli": "", "mnli": "no revision of nyu-mll/multi_nli is pinned"}


def test_show_prints_rows_counts_and_lengths(folder):
    done = call("show", "xnli", "de", "--split", "test", "--source", f"folder:{folder}", "--rows", "1")
    assert done.exit_code == 0, done.output
    assert "xnli de test, pair_classification" in done.output
    assert "rows: 60 (examples in the files: 60)" in done.output
    assert 'labels: {"contradiction": 20, "entailment": 20, "neutral": 20}' in done.output
    assert "length in characters: p50" in done.output
    assert done.output.count("text_a:") == 1


def test_show_for_programs_under_a_tokenizer(folder, tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["<unk>", "<pad>", "<s>", "</s>", "<mask>", "word"]
    backend = Tokenizer(models.WordLevel({word: row for row, word in enumerate(words)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    home = tmp_path / "tokenizer"
    home.mkdir()
    backend.save(str(home / "tokenizer.json"))
    (home / "tokenizer_config.json").write_text(json.dumps({"unk_token": "<unk>", "pad_token": "<pad>"}))
    report = json.loads(
        call("show", "xnli", "de", "--source", f"folder:{folder}", "--tokenizer", home, "--json", "--limit", "9").output
    )
    assert report["unit"] == "tokens"
    assert report["length"] == {"p50": 12, "p90": 12, "p95": 12, "p99": 12, "p100": 12}
    assert report["split"] == "train"
    assert report["counts"]["rows"] == 9
    assert len(report["rows"]) == 3


def test_show_of_what_is_not_there_is_an_error(folder):
    done = call("show", "xnli", "ur", "--source", f"folder:{folder}")
    assert isinstance(done.exception, UserError)
    done = call("show", "xnil", "de", "--source", f"folder:{folder}")
    assert "did you mean 'xnli'" in str(done.exception)


def test_check_exits_with_1_on_a_violation_and_names_it(folder):
    """A file that cannot be read is one, and not a traceback."""
    (folder / "xnli" / "test-en.tsv").write_bytes(b"\xff\xff\n")
    asked = ("check", "--source", f"folder:{folder}", "--dataset", "xnli")
    done = call(*asked, "--json")
    assert done.exit_code == 1
    tables = {(t["language"], t["split"]): t for t in json.loads(done.output)["tables"]}
    broken = tables["en", "test"]
    assert broken["rows"] is None
    assert broken["rules"][0]["rule"] == "readable"
    assert "not UTF-8" in broken["rules"][0]["error"]
    assert tables["de", "test"]["rows"] == 60
    done = call(*asked, "--language", "de")  # which is cached now
    assert done.exit_code == 1
    line = next(line for line in done.output.splitlines() if line.startswith("xnli     de        test"))
    assert "VIOLATED" in line
    assert "rows_as_published: 60 (test-0, test-1" in line
    assert "3 tables" in done.output.splitlines()[-1]


@pytest.mark.parametrize(
    ("written", "advice"),
    [("DE", "did you mean 'de'?"), ("German", "did you mean 'de'?"), ("deu", "did you mean 'de'?"),
     ("en-GB", "did you mean 'en'?"), ("nl", "it has: de en"), ("xx", "it has: de en")],
)  # fmt: skip
def test_a_language_that_is_not_there_is_an_error_that_says_what_was_meant(folder, written, advice):
    done = call("check", "--source", f"folder:{folder}", "--dataset", "xnli", "--language", written)
    assert isinstance(done.exception, UserError)
    assert str(done.exception) == f"xnli: no language {written!r}\n  {advice}"


def test_check_of_a_language_that_only_this_folder_lacks_says_so(folder):
    done = call("check", "--source", f"folder:{folder}", "--dataset", "xnli", "--language", "fr")
    assert done.exit_code == 1
    assert f"folder:{folder} has no tables of xnli in fr; see xtreme-dag data ls" in done.output


def test_a_path_alone_is_told_to_be_a_folder(folder):
    done = call("ls", "--source", folder)
    assert f"a folder is named as folder:{folder}" in str(done.exception)


def test_show_names_the_other_splits_and_refuses_a_negative_number(folder):
    assert "other splits (--split): dev test" in call("show", "xnli", "de", "--source", f"folder:{folder}").output
    done = call("show", "xnli", "de", "--rows", "-1", "--source", f"folder:{folder}")
    assert (done.exit_code, "not in the range x>=0" in done.output) == (2, True)


def test_show_of_a_real_language_in_the_miniworld_names_the_other_sources():
    assert "real data have another source: folder:PATH or hub" in str(call("show", "xnli", "de").exception)


def test_check_exits_with_0_where_all_is_well():
    done = call(
        "check", "--source", "miniworld", "--dataset", "copa", "--language", "en", "--language", "qaa", "--json"
    )
    report = json.loads(done.output)
    assert report["ok"] is True
    assert done.exit_code == 0
    assert {table["split"] for table in report["tables"]} == {"train", "dev", "test"}
    assert all(table["rules"] for table in report["tables"])


def test_check_of_a_folder_without_data_is_not_a_pass(tmp_path):
    done = call("check", "--source", f"folder:{tmp_path}")
    assert done.exit_code == 1
    assert "has no tables of the catalogue" in done.output


@pytest.mark.parametrize("name", ["ls", "show", "check", "revisions"])
def test_help_has_an_example(name):
    done = call(name, "--help")
    assert done.exit_code == 0
    assert f"Example: xtreme-dag data {name}" in done.output
