"""What a changed contract asks of its version, and what lint finds wrong."""

from __future__ import annotations

import copy

import pytest
import yaml

from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.contracts.diff import compare
from xtreme_dag.contracts.lint import lint
from xtreme_dag.contracts.odcs import FOLDER, SUFFIX, contract_path, read_document


@pytest.fixture
def contract():
    return {**read_document(contract_path("panx")), "version": "1.0.0"}


def quality(document, name):
    return next(rule for rule in document["schema"][0]["quality"] if rule["name"] == name)


def column(document, name):
    return next(one for one in document["schema"][0]["properties"] if one["name"] == name)


def edit(document, change):
    new = copy.deepcopy(document)
    change(new)
    return new


def no_change(new):
    pass


def reworded(new):
    new["description"]["purpose"] = "said better"


def citation(new):
    next(p for p in new["customProperties"] if p["property"] == "citation")["value"] = "another"


def rule_described(new):
    quality(new, "ids_unique")["description"] = "said better"


def rule_added(new):
    new["schema"][0]["quality"].append({**quality(new, "ids_unique"), "name": "again"})


def column_added(new):
    new["schema"][0]["properties"].append({"name": "source", "logicalType": "string"})


def count_added(new):
    next(p for p in new["customProperties"] if p["property"] == "publishedRows")["value"]["dev"]["de"] = 10000


def tolerance_lowered(new):
    quality(new, "iob2_legal")["customProperties"][0]["value"] = {"ja": 0.01}


def set_narrowed(new):
    quality(new, "ids_unique")["implementation"]["kwargs"]["mostly"] = 1.0


def rule_removed(new):
    new["schema"][0]["quality"].remove(quality(new, "iob2_legal"))


def rule_weakened(new):
    quality(new, "iob2_legal")["severity"] = "warning"


def tolerance_raised(new):
    quality(new, "iob2_legal")["customProperties"][0]["value"]["de"] = 0.01


def mostly(new):
    quality(new, "words_clean")["implementation"]["kwargs"]["mostly"] = 0.9


def expectation_changed(new):
    quality(new, "ids_unique")["implementation"]["type"] = "expect_column_values_to_not_be_null"


def column_removed(new):
    new["schema"][0]["properties"].remove(column(new, "tags"))


def type_changed(new):
    column(new, "split")["logicalType"] = "integer"


def no_longer_required(new):
    column(new, "words")["required"] = False


def count_changed(new):
    next(p for p in new["customProperties"] if p["property"] == "publishedRows")["value"]["dev"]["en"] = 9999


def licence(new):
    next(p for p in new["customProperties"] if p["property"] == "licence")["value"] = "proprietary"


def name_changed(new):
    new["name"] = "wikiann"


@pytest.mark.parametrize(
    ("change", "kind", "bump"),
    [
        (no_change, "", ""),
        *((change, "documentation", "patch") for change in (reworded, citation, rule_described)),
        *((change, "additive", "minor") for change in (rule_added, column_added, count_added, tolerance_lowered, set_narrowed)),
        *((change, "breaking", "major") for change in (
            rule_removed, rule_weakened, tolerance_raised, mostly, expectation_changed, column_removed, type_changed,
            no_longer_required, count_changed, licence, name_changed)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_a_change_asks_for_its_bump(contract, change, kind, bump):
    difference = compare(contract, edit(contract, change))
    assert (difference.kind, difference.asked) == (kind, bump), difference.changes
    assert difference.enough == (bump == "")
    assert len(difference.changes) == (bump != "")


def test_the_gravest_change_counts(contract):
    def change(new):
        reworded(new)
        rule_added(new)
        rule_removed(new)

    difference = compare(contract, edit(contract, change))
    assert [one.kind for one in difference.changes] == ["documentation", "breaking", "additive"]
    assert difference.asked == "major"


@pytest.mark.parametrize(
    ("version", "given", "enough"),
    [("1.0.1", "patch", False), ("1.1.0", "minor", True), ("2.0.0", "major", True), ("0.9.0", "back", False)],
)
def test_the_version_must_go_up_by_enough(contract, version, given, enough):
    difference = compare(contract, edit(contract, lambda new: (rule_added(new), new.update(version=version))))
    assert (difference.given, difference.enough) == (given, enough)


def test_every_contract_is_right():
    catalogue = load_catalogue()
    names = {path.name.removesuffix(SUFFIX) for path in FOLDER.glob(f"*{SUFFIX}")}
    assert names == set(catalogue.datasets)
    assert {name: lint(contract_path(name), catalogue) for name in names} == {name: [] for name in names}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda new: new.update(version="1.0"), "version '1.0' is not of the form MAJOR.MINOR.PATCH"),
        (lambda new: new.pop("kind"), "contract: 'kind' is a required property"),
        (lambda new: new.update(apiVersion="v9"), "apiVersion: 'v9' is not one of"),
        (lambda new: new.update(unheard="of"), "unheard"),
        (name_changed, "the file of 'wikiann' is called wikiann.odcs.yaml"),
        (count_changed, "publishedRows are not the counts of the catalogue"),
        (column_removed, "column tags: None in the contract, array in the canonical table"),
        (type_changed, "column split: integer in the contract, string in the canonical table"),
        (lambda new: quality(new, "iob2_legal").update(severity="fatal"), "severity 'fatal' is neither error nor warning"),
        (rule_described, None),
        (
            lambda new: quality(new, "iob2_legal")["implementation"]["kwargs"].update(column="measure.iob2_leagl"),
            "rule iob2_legal: no measure 'iob2_leagl'; did you mean 'iob2_legal'?",
        ),
        (
            lambda new: quality(new, "ids_unique")["implementation"].update(type="expect_nothing"),
            "rule ids_unique: no expectation 'expect_nothing'",
        ),
        (
            lambda new: new["customProperties"].append({"property": "parallel", "value": True}),
            "property parallel is not what the catalogue says",
        ),
        (lambda new: new["schema"][0]["quality"].append(quality(new, "ids_unique")), "rule 'ids_unique' is there twice"),
    ],
)  # fmt: skip
def test_lint_finds_what_is_wrong(tmp_path, contract, change, message):
    path = tmp_path / "panx.odcs.yaml"
    path.write_text(yaml.safe_dump(edit(contract, change)))
    wrong = lint(path, load_catalogue())
    if message is None:
        assert wrong == []
    else:
        assert any(message in one for one in wrong), wrong


def test_lint_of_a_contract_without_a_dataset(tmp_path, contract):
    contract["name"] = "nothing"
    path = tmp_path / "nothing.odcs.yaml"
    path.write_text(yaml.safe_dump(contract))
    assert lint(path, load_catalogue())[0].startswith("no dataset 'nothing' in the catalogue")
    path.write_text("[")
    assert lint(path, load_catalogue())[0].startswith("not YAML")


def test_labels_must_be_those_of_the_catalogue(tmp_path):
    document = read_document(contract_path("xnli"))
    quality(document, "label_in_set")["implementation"]["kwargs"]["value_set"] = ["entailment", "neutral"]
    path = tmp_path / "xnli.odcs.yaml"
    path.write_text(yaml.safe_dump(document))
    assert lint(path, load_catalogue()) == [
        "rule label_in_set: the label set of the catalogue is contradiction, entailment, neutral"
    ]
