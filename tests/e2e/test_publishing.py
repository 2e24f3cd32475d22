"""What is published of a finished study: a model with its card, figures, tables, references."""

import json

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from xtreme_dag.heads.export import CARD
from xtreme_dag.program.commands import model

pytestmark = pytest.mark.xdist_group("finished")


def test_a_model_leaves_with_its_card_and_predicts_as_before(finished, tmp_path):
    from transformers import pipeline

    def export(name, folder):
        words = ["export", name, str(tmp_path / folder), "--json", "--home", str(finished.folder / "home")]
        return CliRunner().invoke(model.command, words)

    name = "target[xnli | mixed | seed 1]"
    told = json.loads(export(name, "out").stdout)
    assert told["class_name"] == "AutoModelForSequenceClassification"
    card = (tmp_path / "out" / CARD).read_text().replace("\\|", "|")
    for part in (
        name,
        "intermediate[mixed | seed 1]",
        "pretrain[planted]",
        "Study `tiny`",
        "CC BY-NC 4.0",
        "| xnli | de |",
    ):
        assert part in card, part
    (stage,) = (
        one
        for one in finished.plan()["stages"]
        if one["name"].startswith("evaluate[xnli | de") and "mixed" in one["name"]
    )
    manifest = json.loads(finished.record(stage["key"]).read_text())
    digests = {name: entry["digest"] for name, entry in manifest["inputs"].items()}

    rows = pq.read_table(finished.artifact(digests["table"]) / "table.parquet").to_pylist()
    predictions = pq.read_table(finished.artifact(manifest["digest"]) / "predictions.parquet").to_pylist()
    ours = {row["id"]: row for row in predictions}
    pipe = pipeline("text-classification", model=str(tmp_path / "out"))
    given = pipe([{"text": row["text_a"], "text_pair": row["text_b"]} for row in rows], truncation=True)
    for row, one in zip(rows, given, strict=True):
        assert one["label"] == ours[row["id"]]["prediction"] and abs(one["score"] - ours[row["id"]]["score"]) < 6e-5
    refused = export("target[xnli | mixd | seed 1]", "no")
    assert refused.exit_code == 1 and "did you mean" in str(refused.exception) and not (tmp_path / "no").exists()


def test_figures_tables_and_references_of_a_study(finished, tmp_path):
    figures = ("report", "--figures", str(tmp_path), "--format", "svg")
    report, latex, cite = finished.calls(figures, ("table", "compare", "--format", "latex"), ("cite",))
    assert report.returncode == latex.returncode == cite.returncode == 0
    assert {"forest.svg", "curves.svg", "heat_xnli.svg", "languages_mixed.svg"} <= {
        path.name for path in tmp_path.iterdir()
    }
    assert "\\toprule" in latex.stdout
    assert "conneau2018xnli" in cite.stdout and "xquad" in cite.stdout and "made by the study itself" in cite.stdout
