"""A whole submission of hostile predictions in every language at hand scores as evaluate.py scores it, file by file."""

import json
import warnings
from functools import partial

import pytest
from seqeval.metrics import f1_score, precision_score, recall_score

from tests.scoring.official_rules import answer_scores, mlqa_tokens, reciprocal_rank, squad_tokens
from tests.submissions.hostile_submission import write_submission
from xtreme_dag.submissions.folder import score_folder

pytestmark = pytest.mark.real
EXAMPLES = 60
LANGUAGES = {
    "xnli": 15, "pawsx": 7, "tatoeba": 41, "xcopa": 11, "panx": 47, "udpos": 35, "xquad": 12, "mlqa": 7, "tydiqa": 3,
    "bucc2018": 1, "mewslix": 3,
}  # fmt: skip


def lines(path):
    with path.open(encoding="utf-8") as file:
        return [line.strip() for line in file]


def sentences(path):
    found = [[]]
    for line in lines(path):
        if line:
            found[-1].append(line)
        else:
            found.append([])
    return found if found[-1] else found[:-1]


def content(path):
    return json.loads(path.read_text(encoding="utf-8"))


def equal_lines(labels, predictions, read):
    gold, given = ([read(line) for line in lines(path)] for path in (labels, predictions))
    return {"accuracy": 100 * sum(a == b for a, b in zip(gold, given, strict=True)) / len(gold)}


def chunks(labels, predictions):
    gold, given = sentences(labels), sentences(predictions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = {"f1": f1_score, "precision": precision_score, "recall": recall_score}
        return {name: 100 * float(score(gold, given)) for name, score in scores.items()}


def answers(labels, predictions, tokenise):
    questions = [qa for article in content(labels)["data"] for part in article["paragraphs"] for qa in part["qas"]]
    given = content(predictions)
    golds = [[answer["text"] for answer in qa["answers"]] for qa in questions]
    em, f1 = answer_scores(golds, [given.get(qa["id"]) for qa in questions], tokenise)
    return {"exact_match": em, "f1": f1}


def pairs(labels, predictions):
    gold, given = ({tuple(line.split("\t")) for line in lines(path)} for path in (labels, predictions))
    precision, recall = (len(gold & given) / len(side) for side in (given, gold))
    f1 = 2 * precision * recall / (precision + recall)
    return {"f1": 100 * f1, "precision": 100 * precision, "recall": 100 * recall}


def entities(labels, predictions):
    gold, given = content(labels), content(predictions)
    ranks = [reciprocal_rank(right[0].strip(), given.get(name, [])) for name, right in gold.items()]
    return {"map@20": 100 * sum(ranks) / len(ranks)}


def expected(task, language, labels, predictions):
    """Figures by the official rules, written once more; see `official_rules`."""
    if task == "mlqa":
        return answers(labels, predictions, partial(mlqa_tokens, language=language))
    label = partial(equal_lines, read=str)
    choice = partial(equal_lines, read=lambda line: json.loads(line)["label"])
    squad = partial(answers, tokenise=squad_tokens)
    rules = {
        "xnli": label, "pawsx": label, "tatoeba": label, "xcopa": choice, "panx": chunks, "udpos": chunks,
        "xquad": squad, "tydiqa": squad, "bucc2018": pairs, "mewslix": entities,
    }  # fmt: skip
    return rules[task](labels, predictions)


@pytest.fixture(scope="module")
def submission(shared_data, tmp_path_factory):
    """The folder, its cells, and what `score` says of it for both benchmarks."""
    folder = tmp_path_factory.mktemp("hostile")
    cells = write_submission(shared_data, folder, EXAMPLES)
    reports = [score_folder(folder / "predictions", folder / "labels", name) for name in ("xtreme", "xtreme-r")]
    return folder, cells, reports


@pytest.mark.parametrize("task", LANGUAGES)
def test_every_language_of(submission, task):
    folder, cells, reports = submission
    languages = [language for name, language in cells if name == task]
    assert len(set(languages)) == len(languages) == LANGUAGES[task]
    figures = []
    for language in languages:
        [name] = {path.name for path in (folder / "labels" / task).glob(f"test-{language}.*")}
        wanted = expected(task, language, folder / "labels" / task / name, folder / "predictions" / task / name)
        found = [report["tasks"][task][language] for report in reports if language in report["tasks"].get(task, {})]
        for given in found:
            assert {metric: given[metric] for metric in wanted} == pytest.approx(wanted, abs=1e-9, rel=0), language
        assert found, language
        figures.append(next(iter(wanted.values())))
    # Neither all right nor all wrong: the disturbance reaches the scores, and not everything was disturbed.
    assert all(0 < figure < 100 for figure in figures)


def test_averages_are_those_of_the_figures(submission):
    for report in submission[2]:
        for task, languages in report["tasks"].items():
            means = report["averages"]["tasks"][task]
            for metric in next(iter(languages.values())):
                mean = sum(row[metric] for row in languages.values()) / len(languages)
                assert means[f"avg_{metric}"] == pytest.approx(mean, abs=1e-9)
