"""Figures, tables and references for a paper, from a study with planted effects."""

import csv
import io
import json
import re
import statistics
from dataclasses import replace

import pytest
from click.testing import CliRunner

from tests.report.test_in_a_browser import pixels
from tests.results.synthetic_study import make_study
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.program.commands import cite, report, table
from xtreme_dag.report.content import read_content
from xtreme_dag.report.outlines import outlined
from xtreme_dag.report.paper import figures, write_figures
from xtreme_dag.report.paper_tables import TABLES, leaderboard
from xtreme_dag.report.references import _of_datasets, bibtex, references
from xtreme_dag.report.table_forms import FORMATS, Figure, Table, written
from xtreme_dag.results.landing import land
from xtreme_dag.results.query import reader


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("paper") / "home"
    made = make_study(
        home, name="demo", n=80, splits=("test",), seeds=(1, 2, 3), languages=("en", "de", "sw"), slope=0.05,
        conditions={"none": 0.3, "english_50%": 0.5, "mixed": 0.9},
    )  # fmt: skip
    _keep_curves(home, made)
    land(Home(home), *made.arguments)
    return home


def _keep_curves(home, made):
    """Gives one training an artifact with a loss curve, and one evaluation a sweep of layers."""
    for digest, name, told in (
        (next(stage for stage in made.stages if stage.kind == "target").digest, "training.json", {"loss_curve": [3.0, 2.0, 1.5]}),
        (made.evaluations[0].digest, "sweep.json", {"layers": [{"layer": 0, "accuracy": 40.0}, {"layer": 1, "accuracy": 60.0}]}),
    ):  # fmt: skip
        from xtreme_dag.engine.store import Store

        folder = Store(home / "store").artifact(digest)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(told))


@pytest.fixture(scope="module")
def content(home):
    return read_content(Home(home), "demo")


def test_every_figure_is_there(home, content):
    assert set(figures(Home(home), content)) == {
        "forest", "gap", "cost", "curves", "layers", "languages_english_50_", "languages_mixed",
        "heat_mean_of_the_tasks", "heat_udpos", "heat_xnli", "heat_xquad",
    }  # fmt: skip


def test_no_figure_has_colours_of_the_page_or_a_title(home, content):
    for name, spec in figures(Home(home), content).items():
        text = json.dumps(spec)
        assert "var(--" not in text, name
        assert "title" not in spec and "tooltip" not in text, name


@pytest.mark.parametrize("form", ["svg", "pdf", "png"])
def test_they_are_drawn_in_the_width_of_a_page(home, content, form, tmp_path):
    kept = replace(
        content, tasks=content.tasks[:1], cells=tuple(c for c in content.cells if c["task"] == "xnli"), costs=()
    )
    files = write_figures(Home(home), kept, tmp_path / "figures", form)
    assert len(files) >= 5
    for file in files:
        data = file.read_bytes()
        if form == "svg":
            assert b"<text" not in data and b"aria-label=" in data, f"{file} needs a font"
            width = float(re.search(rb'width="([\d.]+)"', data)[1])
        elif form == "pdf":
            assert b"/FontFile" in data or b"/FontFile2" in data or b"/FontFile3" in data, f"{file} has no fonts in it"
            width = float(re.search(rb"/MediaBox \[\s*[\d.]+ [\d.]+ ([\d.]+)", data)[1])
        else:
            width = int.from_bytes(data[16:20], "big") * 72 / 300
        assert 100 < width < 420, (file, width)
    assert form != "png" or len(pixels(min((file.read_bytes() for file in files), key=len))) > 10


def test_outlines_are_where_the_text_was():
    """As wide as the font says, at the place and in the colour of the text; what the font lacks stays text."""
    text = (
        '<text text-anchor="{}" transform="translate(5,9)" font-family="Roboto" font-size="10px" fill="#123">{}</text>'
    )
    ends = {}
    for anchor in ("start", "middle", "end"):
        path = outlined(text.format(anchor, "HH"))
        assert 'fill="#123"' in path and 'aria-label="HH"' in path and path.startswith("<path")
        at, scale = re.search(r"translate\(5,9\) translate\(([-\d.]+),0\) scale\(([\d.]+),", path).groups()
        drawn = [float(x) for x in re.findall(r"M([\d.]+)[ ,]", path)]
        ends[anchor] = (float(at), float(at) + max(drawn) * float(scale))
    assert (
        ends["start"][0] == 0 and -14.3 < ends["end"][0] < -14.2 and abs(ends["middle"][0] - ends["end"][0] / 2) < 0.01
    )
    assert ends["end"][1] < 0 < ends["middle"][1] < ends["start"][1]
    assert outlined(text.format("start", "a \u2192 b")) == text.format("start", "a \u2192 b")


def test_equal_results_give_equal_figures(home, content, tmp_path):
    kept = replace(content, cells=(), gaps=(), costs=())
    one, other = (write_figures(Home(home), kept, tmp_path / name, "svg") for name in ("one", "other"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other] and one


@pytest.mark.parametrize("name", TABLES)
def test_tables_say_the_same_in_every_form(content, name):
    made = TABLES[name](content, 2)
    rows = list(csv.reader(io.StringIO(written(made, "csv", 2))))
    assert len(rows) == len(made.rows) + 1 and len({len(row) for row in rows}) == 1
    markdown = [line for line in written(made, "markdown", 2).splitlines() if line.startswith("|")]
    latex = [line for line in written(made, "latex", 2).splitlines() if line.endswith("\\\\")]
    assert len(markdown) == len(made.rows) + 2 and len(latex) == len(made.rows) + 1
    for line in (*markdown, *latex):
        assert line.replace("\\&", "").count("&") in (0, len(made.heads) - 1)
    for row, told in zip(made.rows, rows[1:], strict=True):
        values = [cell.value for cell in row if isinstance(cell, Figure) and cell.value is not None]
        numbers = [float(cell) for cell in told if re.fullmatch(r"-?\d+\.\d+", cell)]
        for value in values:
            assert any(abs(value - number) <= 0.005000001 for number in numbers), (value, told)


def test_the_best_and_the_decided_are_marked_and_explained(content):
    text = written(TABLES["leaderboard"](content, 1), "latex")
    assert r"\toprule" in text and r"english\_50\%" in text
    (best,) = (line for line in text.splitlines() if line.startswith("mixed &"))
    assert best.count(r"\textbf") == 4 and r"$^{\uparrow}$" in best
    assert r"$^{\uparrow}$ better" in text and r"5\% level after Holm's correction" in text
    one_condition = replace(content, comparisons=())
    assert "Holm" not in written(TABLES["leaderboard"](one_condition, 1), "latex")


def test_the_spread_over_seeds_stands_beside_the_means(home, content):
    made = leaderboard(content, 2, spread=True)
    with reader(Home(home), predictions=False) as connection:
        rows = connection.execute(
            "SELECT condition, task, seed, avg(value) FROM scores WHERE is_primary GROUP BY ALL"
        ).fetchall()
    for name, *cells in made.rows:
        by_seed = {}
        for condition, task, seed, value in rows:
            if condition == name:
                by_seed.setdefault(seed, {})[task] = value
        for task, cell in zip(made.heads[1:-1], cells[:-1], strict=True):
            assert cell.spread == pytest.approx(statistics.stdev(found[task] for found in by_seed.values()))
        means = [statistics.mean(found.values()) for found in by_seed.values()]
        assert cells[-1].spread == pytest.approx(statistics.stdev(means))
    assert r"$\pm$ standard deviation over seeds" in written(made, "latex", 2)
    assert "standard deviation" not in written(TABLES["leaderboard"](content, 2), "latex", 2)
    done = CliRunner().invoke(table.command, ["leaderboard", "--spread", "--format", "csv", "--home", str(home)])
    assert done.stdout.splitlines()[0].startswith("condition,udpos,udpos sd")
    assert CliRunner().invoke(table.command, ["compare", "--spread", "--home", str(home)]).exit_code == 2


def test_numbers_are_rounded_as_asked_and_zero_has_no_sign():
    made = Table(
        name="t",
        caption="c",
        heads=("a", "b"),
        rows=(("x", Figure(value=28.000000000000004)), ("y", Figure(value=-0.004))),
    )
    assert written(made, "csv", 1) == "a,b\nx,28.0\ny,0.0\n"
    assert written(made, "csv", 3) == "a,b\nx,28.000\ny,-0.004\n"
    tiny = Table(name="t", caption="c", heads=("p",), rows=((Figure(value=0.00001, digits=4),),))
    assert "<0.0001" in written(tiny, "latex", 1)


def test_latex_is_escaped():
    made = Table(name="t", caption="50% of a_b", heads=("a&b",), rows=(("x_{1} \\ ~^#$",),))
    text = written(made, "latex")
    assert r"a\&b" in text and r"50\% of a\_b" in text
    assert r"x\_\{1\} \textbackslash{} \textasciitilde{}\textasciicircum{}\#\$" in text


def test_what_the_catalogue_knows_is_cited_once_and_nothing_is_invented():
    found, notes = _of_datasets(["xnli", "squad_v1", "squad_retrieval", "panx", "plain_text", "my_own"])
    keys = [one.key for one in found]
    assert "conneau2018xnli" in keys and keys.count("rajpurkar2016squad") == 1
    assert next(one for one in found if one.key == "rajpurkar2016squad").used == ("squad_v1", "squad_retrieval")
    assert all("complete" in one.fields["note"] for one in found)
    assert "my_own: no reference in the catalogue" in notes and "plain_text: your own text" in notes


def test_a_study_is_cited_with_its_methods(home):
    text = bibtex(references(Home(home), "demo"))
    for part in (
        "@misc{xtreme-dag,",
        "@inproceedings{phang2020english,",
        "@article{holm1979,",
        "conneau2018xnli",
        "% xnli",
    ):
        assert part in text
    assert "mcnemar" not in text  # three seeds
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize(
    ("recipe", "condition", "cited"),
    [
        ({"target": {"span": {"lora": {"rank": 8}}}}, {}, True),
        ({}, {"recipe": {"lora": {"rank": 8}}}, True),
        ({"target": {"span": {"lora": None}}}, {"description": "lora"}, False),
    ],
)
def test_adapters_are_cited_where_a_study_or_a_condition_trains_them(tmp_path, recipe, condition, cited):
    made = make_study(tmp_path, n=10, splits=("test",))
    study, *others = made.arguments
    first = replace(study.conditions[0], description=condition)
    model = {"folder": "models/own"}
    study = replace(study, recipe={"model": model, "recipe": recipe}, conditions=(first, *study.conditions[1:]))
    land(Home(tmp_path), study, *others)
    text = bibtex(references(Home(tmp_path), "demo"))
    assert ("{hu2022lora," in text) == cited
    assert "the base model has no reference in the catalogue: models/own" in text


def test_commands(home, tmp_path):
    def call(command, *arguments):
        return CliRunner().invoke(command, [*arguments, "--home", str(home)])

    done = call(table.command, "per-language", "--format", "csv", "--digits", "0", "-o", str(tmp_path / "t.csv"))
    assert done.exit_code == 0 and (tmp_path / "t.csv").read_text().startswith("task,language,")
    assert isinstance(call(table.command, "leaderboard", "--study", "dem").exception, UserError)
    assert call(cite.command).output.startswith("%")
    refused = call(report.command, "--format", "svg")
    assert isinstance(refused.exception, UserError) and "--figures" in str(refused.exception)


def test_formats_are_those_of_the_commands():
    (choice,) = (one for one in table.command.params if one.name == "form")
    assert tuple(choice.type.choices) == FORMATS
    assert set(next(one for one in table.command.params if one.name == "name").type.choices) == set(TABLES)
