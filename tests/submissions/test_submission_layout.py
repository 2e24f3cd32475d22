"""Export writes what the official layout accepts; export, score and read give the figures back."""

import json
import random

import pyarrow as pa
import pytest

from xtreme_dag.core.errors import UserError
from xtreme_dag.scoring import accuracy, mining, ranking, squad, tagging
from xtreme_dag.scoring.columns import column_sums
from xtreme_dag.scoring.combine import values
from xtreme_dag.submissions.folder import folder_tasks, score_folder
from xtreme_dag.submissions.read import read_submission
from xtreme_dag.submissions.write import write_labels, write_submission
from xtreme_dag.tables.canonical import SCHEMAS

LABELS = ["contradiction", "entailment", "neutral"]
TAGS = ["O", "B-PER", "I-PER", "B-LOC"]
ENGLISH = ["zebra", "Apple", " apple", "mango", "Apple", "42"]


def table(kind, language, rows):
    full = [{"language": language, "split": "test", **row} for row in rows]
    return pa.Table.from_pylist(full, schema=SCHEMAS[kind])


def predicted(ids, predictions, statistics, **more):
    columns = {"id": ids, "prediction": predictions, **{name: pa.array(column) for name, column in statistics.items()}}
    return pa.table({**columns, **more})


@pytest.fixture
def study():
    """Canonical tables and predictions of seven tasks, one for each file format, rows of the latter shuffled."""
    chance = random.Random(4)
    canonical, runs = {}, {}

    def add(task, language, kind, rows, run):
        canonical[task, language] = table(kind, language, rows)
        order = list(range(len(run)))
        chance.shuffle(order)
        runs[task, language] = run.take(order)

    names = [f"test-{row}" for row in range(6)]
    gold = [chance.choice(LABELS) for _ in names]
    given = [chance.choice(LABELS) for _ in names]
    rows = [{"id": name, "text_a": "a", "text_b": "b", "label": label} for name, label in zip(names, gold, strict=True)]
    add("xnli", "de", "pair_classification", rows, predicted(names, given, accuracy.statistics(gold, given)))

    rows = [
        {"id": name, "context": "", "question": "", "choices": ["x", "y"], "label": row % 2}
        for row, name in enumerate(names)
    ]
    right = accuracy.statistics([0, 1] * 3, [1, 1, 0, 0, 0, 1])
    add("xcopa", "et", "multiple_choice", rows, predicted(names, list("110001"), right))

    sentences = [[chance.choice(TAGS) for _ in range(length)] for length in (3, 0, 5, 1, 0, 2)]
    found = [[chance.choice(TAGS) for _ in tags] for tags in sentences]
    rows = [{"id": name, "words": tags, "tags": tags} for name, tags in zip(names, sentences, strict=True)]
    run = predicted(names, [" ".join(tags) for tags in found], tagging.statistics(sentences, found))
    add("panx", "de", "tagging", rows, run)

    answers = [["the cat"], ["dog", "hound"], ["x"], ["7"], ["«a»"], ["北京"]]
    texts = ["Cat.", "hound", "", "8", "a", "北京"]
    rows = [
        {"id": name, "title": "", "context": "c", "question": "?", "answers": [{"text": t, "start": 0} for t in golds], "answerable": True}
        for name, golds in zip(names, answers, strict=True)
    ]  # fmt: skip
    add("xquad", "de", "span_qa", rows, predicted(names, texts, squad.statistics(answers, texts)))

    best = [names[row] for row in (0, 4, 2, 1, 4, 5)]
    rows = [{"id": name, "text": "?", "english": text} for name, text in zip(names, ENGLISH, strict=True)]
    add("tatoeba", "de", "parallel", rows, predicted(names, best, accuracy.statistics(names, best)))

    rows = [
        {"id": f"de-{row}", "side": "foreign", "text": "", "gold": [f"en-{row}"] if row < 3 else []} for row in range(5)
    ]
    rows += [{"id": f"en-{row}", "side": "english", "text": "", "gold": []} for row in range(5)]
    sources, mined = [f"de-{row}" for row in range(5)], ["en-0", "", "en-1 en-2", "", "en-4"]
    pairs = [(source, target) for source, targets in zip(sources, mined, strict=True) for target in targets.split()]
    right = mining.statistics(sources, [(f"de-{row}", f"en-{row}") for row in range(3)], pairs)
    add("bucc2018", "de", "bitext_mining", rows, predicted(sources, mined, right))

    wanted = [["en_1", "de_1"], ["en_2"], ["en_3"]]
    ranked = [["x", "en_1", "y", "de_1"], ["en_2"], ["x", "y"]]
    rows = [{"id": f"q{row}", "side": "question", "text": "", "context": "", "gold": g} for row, g in enumerate(wanted)]
    rows += [{"id": name, "side": "candidate", "text": "", "context": "", "gold": []} for name in ("x", "y")]
    right = ranking.statistics(wanted, ranked)
    add(
        "lareqa",
        "de",
        "qa_retrieval",
        rows,
        predicted(["q0", "q1", "q2"], ["x", "en_2", "x"], right, candidates=ranked),
    )
    return canonical, runs


def of_benchmark(cells, benchmark):
    return {cell: value for cell, value in cells.items() if cell[0] in folder_tasks(benchmark)}


@pytest.mark.parametrize("benchmark", ["xtreme", "xtreme-r"])
def test_export_then_score_gives_the_figures_of_the_run(study, tmp_path, benchmark):
    canonical, runs = (of_benchmark(cells, benchmark) for cells in study)
    missing = write_submission(runs, tmp_path / "out", {"model": "m"}, canonical=canonical, benchmark=benchmark)
    write_labels(canonical, tmp_path / "labels")
    report = score_folder(tmp_path / "out", tmp_path / "labels", benchmark)
    assert len(runs) in (5, 6)
    for (task, language), run in runs.items():
        family = folder_tasks(benchmark)[task].family
        columns = {name: run[name].to_numpy() for name in run.column_names if name.startswith("s_")}
        expected = values(family, column_sums(columns))
        for metric, figure in report["tasks"][task][language].items():
            assert figure == pytest.approx(float(expected[metric]), abs=1e-9), (task, metric)
    assert f"{'xquad'}/test-ar.json" in missing
    metadata = json.loads((tmp_path / "out" / "metadata.json").read_text(encoding="utf-8"))
    assert (metadata["model"], metadata["files"], metadata["missing"]) == ("m", len(runs), missing)


@pytest.mark.parametrize("benchmark", ["xtreme", "xtreme-r"])
def test_export_then_read_gives_the_rows_of_the_run(study, tmp_path, benchmark):
    canonical, runs = (of_benchmark(cells, benchmark) for cells in study)
    write_submission(runs, tmp_path / "out", {}, canonical=canonical, benchmark=benchmark)
    write_labels(canonical, tmp_path / "labels")
    tables, _ = read_submission(tmp_path / "out", tmp_path / "labels", benchmark=benchmark, canonical=canonical)
    assert set(tables) == set(runs)
    for cell, found in tables.items():
        run = {row["id"]: row for row in runs[cell].to_pylist()}
        assert found.column_names[:5] == ["id", "language", "gold", "prediction", "score"]
        assert found["score"].null_count == len(found)
        rows = found.to_pylist()
        assert {row["id"] for row in rows} == set(run)
        for row in rows:
            assert row["language"] == cell[1]
            for name, number in row.items():
                if name.startswith("s_"):
                    assert number == pytest.approx(run[row["id"]][name], abs=1e-12), (cell, row["id"], name)
            if cell[0] != "lareqa":
                assert row["prediction"] == run[row["id"]]["prediction"]


def test_tatoeba_asks_in_english_and_answers_with_foreign_rows(study, tmp_path):
    """The English side is sorted; a line is the row of a foreign sentence in the foreign file's own order."""
    canonical, runs = ({cell: cells[cell] for cell in [("tatoeba", "de")]} for cells in study)
    write_submission(runs, tmp_path / "out", {}, canonical=canonical)
    write_labels(canonical, tmp_path / "labels")
    order = ["42", "Apple", "Apple", "apple", "mango", "zebra"]
    lines = (tmp_path / "labels" / "tatoeba" / "test-de.tsv").read_text(encoding="utf-8").split()
    assert [ENGLISH[int(line)].strip() for line in lines] == order
    assert lines == ["5", "1", "4", "2", "3", "0"]
    assert (tmp_path / "out" / "tatoeba" / "test-de.tsv").read_text(encoding="utf-8").split() == [
        "5",
        "4",
        "4",
        "2",
        "1",
        "0",
    ]


def test_the_files_are_those_of_the_official_layout(study, tmp_path):
    canonical, runs = (of_benchmark(cells, "xtreme-r") for cells in study)
    write_submission(runs, tmp_path / "out", {}, canonical=canonical, benchmark="xtreme-r")
    files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert files == [
        "lareqa/test-de.json", "metadata.json", "panx/test-de.tsv", "tatoeba/test-de.tsv", "xcopa/test-et.jsonl",
        "xnli/test-de.tsv", "xquad/test-de.json",
    ]  # fmt: skip
    tags = (tmp_path / "out" / "panx" / "test-de.tsv").read_text(encoding="utf-8")
    assert tags.count("\n\n") >= 4
    assert tags.endswith("\n\n")
    assert (tmp_path / "out" / "xcopa" / "test-et.jsonl").read_text(encoding="utf-8").startswith('{"label": 1}\n')


def test_read_without_canonical_tables_numbers_the_lines(study, tmp_path):
    canonical, runs = (of_benchmark(cells, "xtreme") for cells in study)
    write_submission(runs, tmp_path / "out", {}, canonical=canonical)
    write_labels(canonical, tmp_path / "labels")
    tables, warnings = read_submission(tmp_path / "out", tmp_path / "labels")
    assert tables["xnli", "de"]["id"].to_pylist() == ["0", "1", "2", "3", "4", "5"]
    assert tables["bucc2018", "de"]["id"].to_pylist() == ["de-0", "de-1", "de-2", "de-4"]
    assert "xnli: no predictions and no labels for ar, bg, el, en, es, fr, hi, ru, sw, th, tr, ur, vi, zh" in warnings


def test_mistakes(study, tmp_path):
    canonical, runs = study
    cell = ("xnli", "de")
    with pytest.raises(UserError, match="5 predictions for 6 rows, 1 rows have none"):
        write_submission({cell: runs[cell].slice(0, 5)}, tmp_path / "a", {}, canonical=canonical)
    with pytest.raises(UserError, match="xtreme does not list it"):
        write_submission({("xcopa", "et"): runs["xcopa", "et"]}, tmp_path / "b", {}, canonical=canonical)
    with pytest.raises(UserError, match="no canonical table"):
        write_submission({cell: runs[cell]}, tmp_path / "c", {}, canonical={})
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "old").touch()
    with pytest.raises(UserError, match="the folder is not empty"):
        write_submission({cell: runs[cell]}, tmp_path / "d", {}, canonical=canonical)
    blanked = canonical[cell].set_column(5, "label", pa.array([None] * 6, pa.string()))
    assert blanked.schema.names[5] == "label"
    with pytest.raises(UserError, match="rows without a label"):
        write_labels({cell: blanked}, tmp_path / "e")
    with pytest.raises(UserError, match="has both predictions and labels"):
        read_submission(tmp_path / "d", tmp_path / "d")


def test_a_submission_of_another_length_is_not_matched_by_order(study, tmp_path):
    canonical, runs = ({cell: cells[cell] for cell in [("xnli", "de")]} for cells in study)
    write_submission(runs, tmp_path / "out", {}, canonical=canonical)
    write_labels(canonical, tmp_path / "labels")
    short = {cell: one.slice(0, 4) for cell, one in canonical.items()}
    with pytest.raises(UserError, match="6 lines for 4 rows"):
        read_submission(tmp_path / "out", tmp_path / "labels", canonical=short)


def test_answers_that_no_file_can_hold_are_read(study, tmp_path):
    """JSON spells a lone surrogate as an escape; it scores as any other character and is stored as '?'."""
    canonical, runs = ({cell: cells[cell] for cell in [("xquad", "de")]} for cells in study)
    write_submission(runs, tmp_path / "out", {}, canonical=canonical)
    write_labels(canonical, tmp_path / "labels")
    answers = dict.fromkeys(runs["xquad", "de"]["id"].to_pylist(), "\ud83d dog")
    (tmp_path / "out" / "xquad" / "test-de.json").write_text(json.dumps(answers), encoding="utf-8")
    tables, _ = read_submission(tmp_path / "out", tmp_path / "labels", canonical=canonical)
    assert set(tables["xquad", "de"]["prediction"].to_pylist()) == {"? dog"}
    assert max(tables["xquad", "de"]["s_f1"].to_pylist()) == pytest.approx(2 / 3)
