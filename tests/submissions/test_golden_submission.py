"""The mock submission of google-research/xtreme: every figure that its own scorer gave for it."""

import json

import pytest

from xtreme_dag.submissions.folder import folder_tasks, score_folder

LANGUAGES = {
    "xnli": 15, "pawsx": 7, "udpos": 33, "panx": 40, "xquad": 11, "mlqa": 7, "tydiqa": 9, "tatoeba": 36, "bucc2018": 4
}  # fmt: skip
LANGUAGES_R = {
    "xnli": 15, "xcopa": 11, "udpos": 38, "panx": 48, "xquad": 12, "mlqa": 7, "tydiqa": 9, "tatoeba": 41,
    "mewslix": 11, "lareqa": 11,
}  # fmt: skip
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def golden(shared):
    folder = shared / "golden"
    mock = folder / "xtreme_mock"
    expected = json.loads((folder / "xtreme_mock_expected.json").read_text(encoding="utf-8"))
    reports = {name: score_folder(mock / "predictions", mock / "labels", name) for name in ("xtreme", "xtreme-r")}
    return expected, reports


def check_task(report, task, expected):
    compared = 0
    for metric, figure in expected.items():
        if isinstance(figure, dict):
            for language, value in figure.items():
                assert report["tasks"][task][language][metric] == pytest.approx(value, abs=TOLERANCE), (task, language)
                compared += 1
            assert set(report["tasks"][task]) == set(figure)
        else:
            assert report["averages"]["tasks"][task][metric] == pytest.approx(figure, abs=TOLERANCE), (task, metric)
            compared += 1
    return compared


@pytest.mark.real
def test_every_figure(golden):
    expected, reports = golden
    compared = sum(
        check_task(reports["xtreme-r" if task == "mewslix" else "xtreme"], task, figures)
        for task, figures in expected["tasks"].items()
    )
    assert compared == 382
    overall = reports["xtreme"]["averages"]["overall"]
    assert overall == pytest.approx(expected["overall"], abs=TOLERANCE)


@pytest.mark.real
def test_what_is_missing_is_said(golden):
    _, reports = golden
    assert reports["xtreme"]["averages"]["partial"] == {}
    assert reports["xtreme"]["warnings"] == ["mewslix: not scored, it is not a task of xtreme"]
    partial, warnings = reports["xtreme-r"]["averages"]["partial"], reports["xtreme-r"]["warnings"]
    assert partial["tasks.xquad"] == ["ro"]
    assert partial["ours.all_task"][:2] == ["lareqa", "xcopa"]
    assert "lareqa: not scored, there are no predictions and no labels" in warnings
    assert "xquad: no predictions and no labels for ro" in warnings
    assert "pawsx: not scored, it is not a task of xtreme-r" in warnings
    # evaluate.py has no overall score for XTREME-R.
    assert "all_task" not in reports["xtreme-r"]["averages"]["overall"]


@pytest.mark.parametrize(("benchmark", "expected"), [("xtreme", LANGUAGES), ("xtreme-r", LANGUAGES_R)])
def test_the_catalogue_lists_what_evaluate_py_lists(benchmark, expected):
    assert {name: len(task.languages) for name, task in folder_tasks(benchmark).items()} == expected


def test_mlqa_alone_has_its_own_rules():
    judges = {name: task.judge.__name__ for name, task in folder_tasks("xtreme-r").items()}
    assert judges["mlqa"] == "judge_mlqa"
    assert judges["xquad"] == judges["tydiqa"] == "judge_squad"
