"""What is wrong with a model folder is said in a line before anything runs."""

import json
import shutil

import pytest

from tests.model import zoo
from tests.model.damages import DAMAGES
from xtreme_dag.model.trial import trial
from xtreme_dag.wiring import preflight as room
from xtreme_dag.wiring.preflight import preflight

KINDS = ("xlm-roberta", "distilbert")
# These are said and stop nothing: the right values may be the ones that are used.
WARNINGS = {"foreign_weights", "lower_case_unlike", "slow_unlike"}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    for name in KINDS:
        zoo.make(folder / name, name)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_every_damage_is_said_in_a_line_that_names_a_file(kind, good, tmp_path):
    assert preflight(good / kind, trial) == []
    for name, spoil in DAMAGES.items():
        folder = tmp_path / name
        shutil.copytree(good / kind, folder)
        spoil(folder)
        found = preflight(folder, trial)
        assert found and found[0].fatal == (name not in WARNINGS), name
        for finding in found:
            assert str(folder) in finding.where and "\n" not in str(finding), name


def test_a_trial_in_a_process_of_its_own_says_the_same(good):
    assert room._in_a_process(good / "xlm-roberta") == trial(good / "xlm-roberta")


def test_a_head_that_would_be_fresh_is_said(tmp_path):
    zoo.make(tmp_path, "mt5")
    assert any(finding.fix == "an mlm head would be fresh" for finding in preflight(tmp_path, trial))


def test_the_tokenizers_that_need_a_package_name_it(good, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "find_spec", lambda name: None)
    shutil.copytree(good / "xlm-roberta", tmp_path / "model")
    (tmp_path / "model" / "tokenizer.json").rename(tmp_path / "model" / "sentencepiece.bpe.model")
    words = [str(finding) for finding in preflight(tmp_path / "model", trial)]
    assert (
        len(words) == 1 and "needs sentencepiece, which is not installed; install the extra `sentencepiece`" in words[0]
    )
    zoo.make(tmp_path / "xlm", "xlm")
    (tmp_path / "xlm" / "tokenizer.json").unlink()
    (tmp_path / "xlm" / "vocab.json").write_text(json.dumps({"a": 0}))
    assert "needs sacremoses, which is not installed" in str(preflight(tmp_path / "xlm", trial)[0])
