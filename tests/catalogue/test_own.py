"""Catalogues of the user's own: where they are found, what is wrong in them and whom it concerns, what keys hold."""

import csv
import os

import pytest
import yaml
from click.testing import CliRunner

from xtreme_dag.catalogue import own
from xtreme_dag.catalogue.benchmarks import official
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.catalogue.languages import languages
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.plan import Planner
from xtreme_dag.program.cli import program
from xtreme_dag.study.file import load_study
from xtreme_dag.wiring.build import build

READERS = '''"""Ours."""
from xtreme_dag.data.readers.files import Chunk, lines


def slashes(files, options, place):
    for first, found in lines(files["table"], place):
        rows = [line.split(" / ") for line in found]
        columns = {name: [row[n] for row in rows] for n, name in enumerate(("text_a", "text_b", "label"))}
        yield Chunk(columns=columns, file=files["table"], lines=range(first, first + len(rows)))
'''
ENTRY = {
    "format": "pair_classification",
    "labels": ["no", "yes"],
    "languages": "nah qu",
    "folder": "files",
    "splits": {
        split: {
            "use": split,
            "languages": codes,
            "layouts": [{"reader": "readers.slashes", "files": {"table": split + "-{language}.txt"}}],
        }
        for split, codes in (("train", "qu"), ("test", "nah qu"))
    },
    "target": {
        "head": "classification", "metric": "accuracy", "group": "classification",
        "train": {"dataset": "mine", "split": "train"}, "test": "test",
    },
}  # fmt: skip
STUDY = {
    "study": "mine_study",
    "data": "own",
    "model": {"pretrain": {"kind": "planted", "seed": 1, "steps": 1}},
    "seeds": [1],
    "source_language": "qu",
    "intermediate": {
        "none": {},
        "other": {"mixture": [{"dataset": "mine", "languages": ["qu"]}], "budget": {"examples": 2}},
    },
    "targets": ["mine"],
    "compare": {"baseline": "none"},
}


@pytest.fixture
def folder(tmp_path):
    """A catalogue with one entry, its files, and a study beside it."""
    (tmp_path / "files").mkdir()
    for name in ("train-qu", "test-qu", "test-nah"):
        text = f"a {name} / b / yes\nc {name} / d / no\n"
        (tmp_path / "files" / f"{name}.txt").write_text(text.rstrip("\n"))
    (tmp_path / own.READERS).write_text(READERS)
    (tmp_path / own.LANGUAGES).write_text("iso,name,script\nnah,Nahuatl,Latin\n")
    write(tmp_path, "mine", ENTRY)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    return tmp_path


def write(folder, name, entry):
    (folder / own.ENTRIES).mkdir(exist_ok=True)
    (folder / own.ENTRIES / f"{name}.yaml").write_text(yaml.safe_dump(entry))


@pytest.mark.parametrize("way", ["study", "key", "named", "found", "packaged"])
def test_a_catalogue_is_found_wherever_it_may_lie(folder, tmp_path_factory, monkeypatch, way):
    assert "mine" not in load_catalogue().datasets
    if way == "study":
        load_study(folder / "study.yaml")
    elif way == "key":
        elsewhere = tmp_path_factory.mktemp("elsewhere") / "study.yaml"
        elsewhere.write_text(yaml.safe_dump({**STUDY, "catalogue": os.path.relpath(folder, elsewhere.parent)}))
        load_study(elsewhere)
    elif way == "named":
        monkeypatch.setenv(own.VARIABLE, str(folder))
    elif way == "found":
        own.look("home", folder)
    else:
        (folder / "andes_words").mkdir()
        (folder / own.ENTRIES).rename(folder / "andes_words" / own.ENTRIES)
        for name in (own.LANGUAGES, own.READERS):
            (folder / name).rename(folder / "andes_words" / name)
        (folder / "andes_words" / "__init__.py").write_text("raise RuntimeError('nothing of it is imported')")
        information = folder / "andes_words-1.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: andes-words\nVersion: 1\n")
        (information / "entry_points.txt").write_text(f"[{own.GROUP}]\nandes = andes_words\n")
        monkeypatch.syspath_prepend(str(folder))
        own._packaged.cache_clear()
    try:
        assert load_catalogue().task("mine").name == "mine"
        assert languages()["nah"].name == "Nahuatl"
    finally:
        own._packaged.cache_clear()
    if way == "study":  # of another study it is gone
        other = tmp_path_factory.mktemp("other") / "study.yaml"
        other.write_text(yaml.safe_dump({**STUDY, "data": "miniworld", "targets": ["xnli"]}))
        load_study(other)
        assert "mine" not in load_catalogue().datasets


def test_every_command_takes_a_catalogue(folder, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))

    def call(*arguments):
        return CliRunner().invoke(program, [*map(str, arguments)])

    assert "no dataset 'mine'" in str(call("data", "show", "mine", "qu").exception)
    shown = call("data", "show", "mine", "qu", "--catalogue", folder)
    assert shown.exit_code == 0 and "a test-qu" in shown.output
    assert os.environ[own.VARIABLE] == str(folder)  # child processes have it too
    missing = call("plan", "demo", "--catalogue", folder / "files")
    assert missing.exit_code == 1 and "no folder" in str(missing.exception)


@pytest.mark.parametrize(
    ("change", "where", "fix"),
    [
        ({"format": "pair_clasification"}, "format: 'pair_clasification' is not valid", "pair_classification"),
        ({"languages": "qu xx"}, "languages: 'xx' is not valid", "languages.csv"),
        ({"lables": ["a"]}, "unknown key 'lables'", "labels"),
        ({"splits": {"train": {"use": "trane"}}}, "splits.train.use: 'trane' is not valid", "train"),
        ({"splits": None}, "not an entry", "howto"),
        ({"target": {**ENTRY["target"], "test": "tset"}}, "no split 'tset'", "test"),
        ({"target": {**ENTRY["target"], "train": {"dataset": "mnlI", "split": "train"}}}, "no dataset 'mnlI'", "mnli"),
        ({"target": {**ENTRY["target"], "languages": {"xtreme": "qu"}}}, "a benchmark has its own", "leave it out"),
        ({"target": {"head": "classification"}}, "key 'test' is missing", "howto"),
        ({"splits": {"test": {"use": "test", "layouts": [{"reader": "readers.slashs", "files": {}}]}}},
         "layouts.reader: 'slashs' is not valid", "slashes"),
    ],
)  # fmt: skip
def test_a_wrong_entry_fails_what_uses_it_and_nothing_else(folder, change, where, fix):
    write(folder, "wrong", {**ENTRY, **change})
    own.look("here", folder)
    catalogue = load_catalogue()
    assert {"mine", "xnli"} <= {*catalogue.tasks} and "wrong" not in catalogue.datasets
    for ask in (catalogue.dataset, catalogue.task):
        with pytest.raises(UserError) as error:
            ask("wrong")
        assert where in str(error.value) and fix in error.value.fix
    assert "wrong" in str(error.value)  # the file, or the dataset
    assert build(load_study(folder / "study.yaml")).tasks[0].name == "mine"
    with pytest.raises(UserError, match="wrong"):
        build(load_study(folder / "study.yaml", ["targets=[wrong]"]))


def test_a_shipped_name_is_refused_unless_the_entry_says_so(folder):
    entry = {key: value for key, value in ENTRY.items() if key != "target"}
    write(folder, "mnli", entry)
    write(folder, "xnli", {**ENTRY, "replaces": True})
    own.look("here", folder)
    with pytest.raises(UserError, match="the package has a dataset 'mnli'"):
        load_catalogue().dataset("mnli")
    with pytest.raises(UserError, match="a task of a benchmark cannot be replaced"):
        load_catalogue().task("xnli")
    write(folder, "mnli", {**entry, "replaces": True})
    assert load_catalogue().dataset("mnli").root == str(folder)
    assert load_catalogue().task("xquad").name == "xquad"


def test_nothing_of_ones_own_is_in_a_benchmark(folder):
    before = load_catalogue().benchmarks
    own.look("here", folder)
    assert load_catalogue().benchmarks == before
    assert load_catalogue().task("mine").languages == {}
    assert not any("mine" in listed for listed in official().values())
    built = build(load_study(folder / "study.yaml", ["targets=[mine]"]))
    assert {stage.labels["language"] for stage in built.graph if stage.kind == "evaluate"} == {"qu", "nah"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("de,German,Latin", "'de' is a language of the package"),
        ("nah,Nahuatl,Latn", "no script 'Latn'.*\n.*Latin"),
        (",Nahuatl,Latin", "line 2: `iso` is missing"),
    ],
)
def test_a_wrong_language_fails_what_is_in_it(folder, line, message):
    (folder / own.LANGUAGES).write_text(f"iso,name,script\n{line}\n")
    own.look("here", folder)
    if line.startswith("de"):
        assert languages()["de"].family  # the package's
        message = "'nah' is not valid"
    with pytest.raises(UserError, match=message):
        load_catalogue().dataset("mine")
    assert load_catalogue().dataset("xnli")


def test_scripts_without_a_language_in_the_package_are_known_to_the_rules(folder):
    import pyarrow as pa

    from xtreme_dag.contracts.scripts import in_script

    with (folder / own.LANGUAGES).open("w", newline="") as file:
        csv.writer(file).writerows([["iso", "script"], ["nah", "Latin"], ["chr", "Cherokee"], ["am", "Ethiopic"]])
    own.look("here", folder)
    texts = pa.array(["ᏣᎳᎩ", "ሰላም", "text", "12"])
    told = {code: in_script(texts, languages()[code].script).to_pylist() for code in ("chr", "am", "nah")}
    assert told == {
        "chr": [True, False, False, True], "am": [False, True, False, True], "nah": [False, False, True, True],
    }  # fmt: skip


def test_the_keys_hold_the_entry_the_files_and_the_reader(folder):
    def keys():
        plan = Planner(Home(folder / "home"), "mine_study").plan(build(load_study(folder / "study.yaml")).graph)
        return {planned.stage.name: planned.key for planned in plan.stages if planned.stage.kind == "prepare"}

    first = keys()
    assert len(first) == 3 and keys() == first
    (folder / own.READERS).write_text(READERS.replace("Ours", "Mine"))
    assert not {*keys().values()} & {*first.values()}
    (folder / own.READERS).write_text(READERS)
    assert keys() == first
    (folder / "files" / "test-nah.txt").write_text("a / b / yes")
    assert {name for name, key in keys().items() if key != first[name]} == {"prepare[mine | nah | test]"}
    write(folder, "mine", {**ENTRY, "labels": ["no", "yes", "perhaps"]})
    assert not {*keys().values()} & {*first.values()}


def test_without_a_contract_the_rules_of_the_format_hold(folder):
    checks = [stage for stage in build(load_study(folder / "study.yaml")).graph if stage.kind == "check"]
    assert len(checks) == 3
    for stage in checks:
        rules = stage.params["contract"]["schema"][0]["quality"]
        assert "contract" not in stage.inputs
        assert {"not_empty", "ids_unique", "texts_given", "label_in_set", "script_fits"} <= {r["name"] for r in rules}


def test_several_folders_and_relative_paths(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for place, code in ((folder / "a", "de"), (folder / "b", "fr"), (other, "es")):
        (place / "xnli").mkdir(parents=True)
        (place / "xnli" / f"test-{code}.tsv").write_text("x\ty\tneutral\n")
    base = {**STUDY, "targets": ["xnli"], "source_language": "en"}

    def there(data):
        (folder / "study.yaml").write_text(yaml.safe_dump({**base, "data": data}))
        from xtreme_dag.wiring.tables import open_data

        source = open_data(load_study(folder / "study.yaml"))
        return source.languages(load_catalogue().dataset("xnli"), "test")

    assert there({"folder": "a"}) == ("de",)
    assert there({"folders": ["a", "b"]}) == ("de", "fr")
    assert there({"folder": "a", "folders": {"xnli": str(other)}}) == ("es",)
    assert there("own") == ()
    with pytest.raises(UserError, match="did you mean 'xnli'"):
        there({"folder": "a", "folders": {"xnl": "b"}})
    with pytest.raises(UserError, match=r"data\.folders"):
        there({"folders": ["a", "missing"]})


def test_a_target_may_be_trained_on_other_data(folder):
    from xtreme_dag.wiring.supervision import by_condition

    def trained(targets):
        study = {**STUDY, "data": "miniworld", "source_language": "en", "targets": targets, "languages": ["en", "qaa"]}
        study["intermediate"] = {
            "none": {},
            "other": STUDY["intermediate"]["other"] | {"mixture": [{"dataset": "mnli", "languages": ["en"]}]},
        }
        (folder / "study.yaml").write_text(yaml.safe_dump(study))
        graph = build(load_study(folder / "study.yaml")).graph
        (stage,) = [stage for stage in graph if stage.name == "target[xnli | none | seed 1]"]
        return graph[stage.inputs["train"].stage].labels["dataset"], by_condition(graph)

    assert trained(["xnli"])[0] == "mnli"
    dataset, words = trained({"xnli": {"train": {"dataset": "xnli", "split": "train"}}})
    assert dataset == "xnli" and words["none"]["xnli"]["en"] == "source"
    for table, message in (
        ({"dataset": "xnli", "split": "test"}, "is for test, not for train"),
        ({"dataset": "udpos", "split": "train"}, "differ in format or labels"),
        ({"dataset": "xnlj", "split": "train"}, "did you mean 'xnli'"),
    ):
        with pytest.raises(UserError, match=message):
            trained({"xnli": {"train": table}})
