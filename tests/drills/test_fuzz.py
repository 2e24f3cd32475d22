"""The short form of the fuzz drill: a few thousand spoilt inputs, and the cases that once broke something."""

import os
import time

import pytest

from tests.drills import fuzz
from xtreme_dag.core.errors import UserError, printable
from xtreme_dag.core.yaml import read_yaml
from xtreme_dag.data.readers.dispatch import read
from xtreme_dag.data.readers.files import Place
from xtreme_dag.formats.layout import read_lines
from xtreme_dag.program.output import Answer, answers
from xtreme_dag.study.file import load_study
from xtreme_dag.wiring.build import build


def test_spoilt_inputs_are_refused_in_words(monkeypatch):
    light = {name: target for name, target in fuzz.TARGETS.items() if name != "model folders"}
    monkeypatch.setattr(fuzz, "TARGETS", light)
    tally = fuzz.fuzz(4_000, seed=11)
    assert tally.attempts >= 3_990 and tally.faults > 1_000
    assert tally.clean, tally.failures


def test_a_fault_is_found_and_its_number_repeats_it(monkeypatch, tmp_path):
    def reader(folder):
        def once(rng):
            if rng.random() < 0.01:
                raise TypeError("planted")

        return once

    monkeypatch.setattr(fuzz, "TARGETS", {"planted": fuzz.Target(share=1, reader=reader)})
    tally = fuzz.fuzz(1_000, seed=1)
    (found,) = tally.failures["tracebacks"]
    number = int(found.split(":")[1])
    assert fuzz.read_once(reader(tmp_path), "planted", 1, number)[1] == "tracebacks"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "a: " + "{a: " * 5_000,
        "&a [x, x]\n",
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(9)),
    ],
    ids=["brackets", "mappings", "anchor", "alias bomb"],
)
def test_yaml_that_is_too_deep_or_repeats_too_much(tmp_path, text):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    begun = time.process_time()
    with pytest.raises(UserError, match=r"study\.yaml"):
        load_study(path)
    assert time.process_time() - begun < 5


def test_aliases_that_repeat_little_are_read():
    assert read_yaml("a: &a [1, 2]\nb: *a\n") == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"model": {"pretrain": {"steps": -10}}}, "steps"),
        ({"model": {"pretrain": {"hidden_size": 10, "heads": 4}}}, "heads"),
        ({"seeds": [10**4000]}, "seeds"),
        ({"recipe": {"name": "quick", "target": {"default": {"epochs": float("nan")}}}}, "epochs"),
    ],
)
def test_a_study_that_cannot_be_meant_is_not_planned(change, word):
    from tests.drills.corpus import STUDY
    from xtreme_dag.study.file import read_study

    with pytest.raises(UserError, match=word) as refused:
        build(read_study({**STUDY, **change}))
    assert len(str(refused.value)) < 3_000


def test_a_pipe_and_a_device_are_no_files(tmp_path):
    pipe = tmp_path / "train.tsv"
    os.mkfifo(pipe)
    place = Place(dataset="d", language="en", split="train")
    with pytest.raises(UserError, match="regular"):
        list(read("tags", {"table": pipe}, {}, place))
    for path in (pipe, tmp_path / "zero"):
        if path != pipe:
            path.symlink_to("/dev/zero")
        with pytest.raises(UserError, match="regular"):
            read_lines(path)


def test_a_token_of_a_billion_words_is_refused_at_once(tmp_path):
    path = tmp_path / "de.conllu"
    path.write_text("1-1000000000\tzum" + "\t_" * 8 + "\n1\tzu" + "\t_" * 8 + "\n\n")
    begun = time.process_time()
    with pytest.raises(UserError, match="multiword"):
        list(read("conllu", {"a": path}, {"tokens": "surface"}, Place(dataset="d", language="de", split="train")))
    assert time.process_time() - begun < 2


def test_what_a_terminal_would_obey_is_spelled_out(capsys):
    import click

    @click.command()
    @answers
    def command() -> Answer:
        return Answer(value=None, text=["a\x1b[2Jb\0c\u202ed"])

    command.main([], standalone_mode=False)
    assert capsys.readouterr().out == "a\\x1b[2Jb\\x00c\\u202ed\n"
    assert printable("नमस्ते\u200dक\tx") == "नमस्ते\u200dक\tx"
    assert str(UserError("\x1b[31m\ud800")) == "\\x1b[31m\\ud800"
