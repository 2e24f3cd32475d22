"""The report as a file: whole, escaped, the same twice, small."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.results.synthetic_study import make_study
from xtreme_dag.core.beside import STUDIES
from xtreme_dag.core.durations import duration
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.report.charts import label_sides
from xtreme_dag.report.content import read_content
from xtreme_dag.report.figures import interval, signed
from xtreme_dag.report.html import inline_script, templates, write_page, write_report
from xtreme_dag.report.short import short_form
from xtreme_dag.report.words import described
from xtreme_dag.results.landing import land, rebuild
from xtreme_dag.study.file import load_study

NASTY = "<script>window.hacked = true</script>"


def nasty_predictions(made, text=NASTY):
    """Puts markup, half an emoji and a right-to-left override into every prediction."""
    for row in made.evaluations:
        path = row.artifact / "predictions.parquet"
        table = pq.read_table(path)
        values = [f"{text} \ufffd \U0001f469\u200d \u202e&amp; {i}" for i in range(table.num_rows)]
        for column in ("gold", "prediction", "id"):
            if column != "id":
                table = table.set_column(table.column_names.index(column), column, pa.array(values))
        pq.write_table(table, path)
    made.settle()


class Reader(HTMLParser):
    """The structure of a page: tags, ids, what is loaded, unclosed elements."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.loads, self.scripts = [], [], [], 0

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if "id" in values:
            self.ids.append(values["id"])
        self.loads += [values[name] for name in ("src", "data-src") if name in values]
        if tag in ("link", "a") and not values.get("href", "#").startswith("#"):
            self.loads.append(values["href"])
        self.scripts += tag == "script"
        if tag not in ("meta", "br", "input", "link", "hr", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    home = tmp_path_factory.mktemp("html") / "home"
    made = make_study(home, name="demo", n=50, splits=("test",))
    nasty_predictions(made)
    made.study = replace(made.study, question=f"Is {NASTY} & 'this' \"fine\"?")
    land(Home(home), *made.arguments)
    return home, write_report(Home(home), "demo")


@pytest.fixture(scope="module")
def page(written):
    return written[1].read_text(encoding="utf-8")


def test_it_is_in_the_homes_reports(written):
    assert written[1] == written[0] / "reports" / "demo.html"


def test_it_is_small_and_well_formed_and_loads_nothing(page):
    reader = Reader()
    reader.feed(page)
    assert reader.open == [] and reader.loads == [] and reader.scripts == 3
    assert len(reader.ids) == len(set(reader.ids))
    assert len(page.encode()) < 5_000_000
    assert "default-src 'none'" in page


def test_every_link_of_the_page_leads_somewhere(page):
    reader = Reader()
    reader.feed(page)
    assert set(re.findall(r'href="#([\w-]+)"', page)) <= set(reader.ids)
    assert set(re.findall(r'aria-labelledby="([\w-]+)"', page)) <= set(reader.ids)
    assert set(re.findall(r'<label for="([\w-]+)"', page)) <= set(reader.ids)


def test_text_of_the_data_is_escaped(page):
    assert NASTY not in page
    assert page.count("&lt;script&gt;window.hacked") > 5
    assert "\ufffd \U0001f469\u200d" in page and "&amp;amp;" in page


def test_equal_results_give_equal_bytes(written, tmp_path):
    home, first = written
    again = write_report(Home(home), "demo", tmp_path / "again.html")
    assert again.read_bytes() == first.read_bytes()
    (home / "results.duckdb").unlink()
    rebuild(Home(home))
    assert write_report(Home(home), "demo", tmp_path / "rebuilt.html").read_bytes() == first.read_bytes()


def test_it_says_what_was_found_and_what_was_run(page):
    for text in (
        "mixed beats none by", "By task, after Holm", "Is the difference real?", "Transfer gap", "Cost and gain",
        "Data contracts", "1 of 2 tables broke their contract", "unique_ids", "count: 2", "c0ffee", "raw-digest",
        "torch 2.13.0", "German (de)", "learning_rate",
    ):  # fmt: skip
        assert text in page, text


def test_charts_are_described_and_carry_their_data(page):
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL).group(1))
    assert set(data["specs"]) == {"forest", "heat", "by_language", "gap", "cost"}
    assert all(spec["description"] and "config" not in spec for spec in data["specs"].values())
    rows = {row["task"]: [r for r in data["heat"]["rows"] if r["task"] == row["task"]] for row in data["heat"]["rows"]}
    assert {task: len(found) for task, found in rows.items()} == {
        "mean of the tasks": 9,
        "udpos": 9,
        "xnli": 9,
        "xquad": 9,
    }
    de = [row for row in data["heat"]["rows"] if row["label"] == "German (de)" and row["condition"] == "mixed"]
    mean = next(row for row in de if row["task"] == "mean of the tasks")
    assert mean["low"] < mean["delta"] < mean["high"] and len(mean["seeds"]) == 2 and mean["verdict"] == "better"
    assert sum(mean["seeds"]) / 2 == pytest.approx(mean["delta"], abs=0.02)
    assert mean["value"] == pytest.approx(sum(r["value"] for r in de if r is not mean) / 3, abs=0.01)


def test_a_study_with_one_condition_has_a_report_without_differences(tmp_path):
    home = tmp_path / "home"
    land(Home(home), *make_study(home, conditions={"none": 0.5}, n=20, seeds=(1,), splits=("test",)).arguments)
    text = write_report(Home(home), "demo").read_text()
    assert "nothing is compared yet" in text and 'id="differences"' not in text
    Reader().feed(text)


def test_a_study_on_dev_alone_is_reported_on_dev(tmp_path):
    home = tmp_path / "home"
    land(Home(home), *make_study(home, n=20, seeds=(1,), splits=("dev",)).arguments)
    assert "dev split" in write_report(Home(home), "demo").read_text()


def test_many_conditions_stay_under_five_megabytes(tmp_path):
    home = tmp_path / "home"
    conditions = {f"c{number:02d}": 0.4 + number / 200 for number in range(48)}
    made = make_study(
        home, conditions=conditions, n=20, seeds=(1,), splits=("test",), tasks={"xnli": "accuracy"},
        languages=("en", "de", "sw", "ar"),
    )  # fmt: skip
    land(Home(home), *made.arguments)
    text = write_report(Home(home), "demo", resamples=100).read_text()
    assert "8 more conditions are in the database" in text and "c47" in text
    assert len(text.encode()) < 5_000_000


def test_what_the_study_is_about_is_shown_however_low_its_average(tmp_path):
    home = tmp_path / "home"
    conditions = {f"c{number:02d}": 0.9 - number / 60 for number in range(44)}
    made = make_study(home, conditions=conditions, n=40, seeds=(1,), splits=("test",), tasks={"xnli": "accuracy"}, languages=("de",))  # fmt: skip
    described = tuple(
        replace(one, description={"control": "shuffled_labels"}) if one.name == "c42" else one
        for one in made.study.conditions
    )
    recipe = {"compare": {"baseline": "c41", "condition": "c43"}}
    made.study = replace(made.study, baseline="c41", conditions=described, recipe=recipe)
    land(Home(home), *made.arguments)
    content = read_content(Home(home), "demo", resamples=100)
    shown = {row["condition"] for row in content.conditions}
    assert {"c00", "c20", "c41", "c42", "c43"} <= shown and len(shown) == 40 and content.left_out == 4
    assert len(content.comparisons) == 39 and content.comparisons[0].named and content.comparisons[-1].control
    assert short_form(content).answer[-1] == "And 41 more: `xtreme-dag compare --study demo`."


def test_no_study_no_scores(written, tmp_path):
    with pytest.raises(UserError, match="no study 'x' has landed"):
        write_report(Home(written[0]), "x")
    home = tmp_path / "home"
    made = make_study(home, n=5, seeds=(1,))
    land(Home(home), made.study, [], [], [])
    with pytest.raises(UserError, match="has no scores yet"):
        write_report(Home(home), "demo")


def rendered(source, **values):
    return templates().from_string(source).render(**values)


@given(st.text())
def test_escaped_text_has_no_markup(text):
    assert not re.search(r"[<>\"']", rendered("{{ text }}", text=text))


def test_half_a_surrogate_pair_becomes_a_replacement(tmp_path):
    home = tmp_path / "home"
    made = make_study(home, conditions={"none": 0.5}, n=20, seeds=(1,), splits=("test",))
    land(Home(home), *made.arguments)
    content = read_content(Home(home), "demo")
    broken = replace(content, study=content.study | {"question": "a\ud83d b <i>"})
    assert "<h1>a? b &lt;i&gt;</h1>" in write_page(broken, tmp_path / "page.html").read_text(encoding="utf-8")


def test_no_template_prints_text_unescaped(repository):
    for path in (repository / "xtreme_dag" / "report" / "templates").glob("*.html"):
        assert not re.search(r"\|\s*safe|autoescape|Markup", path.read_text()), path.name


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
        max_leaves=6,
    )
)
def test_inline_json_reads_back_and_cannot_close_its_element(value):
    text = rendered("{{ value | tojson }}", value=value)
    assert "<" not in text and ">" not in text and json.loads(text) == value


def test_scripts_cannot_close_their_element():
    assert "</script" not in inline_script('x = "</script>"; y = "<!--"') and "<!--" not in inline_script("<!--")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, ""),
        (0.0, "0 s"),
        (0.42, "0.4 s"),
        (9.96, "10 s"),
        (119, "119 s"),
        (600, "10 min"),
        (7200, "2.0 h"),
        (90_000, "25.0 h"),
    ],
)
def test_durations(seconds, said):
    assert duration(seconds) == said


def test_differences_have_signs():
    assert (signed(1.26), signed(-1.26), signed(0.01), signed(-0.01), signed(None)) == (
        "+1.3",
        "−1.3",
        "0.0",
        "0.0",
        "",
    )
    assert interval(-1.0, 2.0) == "−1.0 to +2.0" and interval(None, 1.0) == ""


def test_names_of_points_that_are_near_stand_on_different_sides():
    points = [
        {"condition": name, "cost": cost, "gain": gain, "low": gain - 1, "high": gain + 1}
        for name, cost, gain in (
            ("none", 1.0, 17.0),
            ("mixed", 2.8, 7.6),
            ("shuffled", 2.95, 7.8),
            ("english", 3.0, 0.0),
        )
    ]
    sides = dict(zip([point["condition"] for point in points], label_sides(points), strict=True))
    assert sides["mixed"] == "left" and sides["shuffled"] == "right"
    assert label_sides(points[:1]) == ["right"]


def test_a_condition_without_words_is_told_in_those_of_a_reader():
    step = {
        "mixture": [{"dataset": "xnli", "languages": ["en", "de"], "share": 0.5}],
        "budget": {"examples": 40, "tokens": None},
    }
    usual = {"items": "disjoint", "keep_heads": False, "repeat": False, "control": None, "recipe": {}}
    assert described({**step, **usual}) == "xnli (en de, 50%), 40 examples"
    unusual = {"items": "parallel", "control": "shuffled_labels", "then": [{**step, **usual}]}
    assert described({**step, **unusual}) == (
        "xnli (en de, 50%), 40 examples, the same items in every language, labels shuffled, then xnli (en de, 50%), 40 examples"
    )
    assert described({**step, "recipe": {"batch_size": 8, "epochs": 3}}).endswith(", with batch size 8 and epochs 3")
    assert described({"mixture": [], "source_language": "de"}) == "no intermediate training, target tasks trained in de"


@pytest.mark.parametrize("path", sorted(STUDIES.rglob("*.yaml")), ids=lambda path: path.stem)
def test_conditions_of_shipped_studies_are_told_without_the_words_of_a_study_file(path):
    study = load_study(path).model_dump(mode="json")
    names = {
        name
        for steps in study["intermediate"].values()
        for name in re.findall(r'"dataset": "(.*?)"', json.dumps(steps))
    }
    for condition in study["intermediate"].values():
        said = described({**condition, "description": ""})
        for name in names:
            said = said.replace(name, "")
        assert said and not re.search(r"[_:{}\[\]]|None|True|False", said), said


def test_what_is_not_above_one_answer_to_everything_is_said(tmp_path):
    made = make_study(
        tmp_path, conditions={"none": 0.5, "mixed": 0.9}, tasks={"xnli": "accuracy"}, splits=("test",), n=80, slope=0.0
    )
    for row in made.evaluations:  # two labels, as frequent as one another
        path = row.artifact / "predictions.parquet"
        table = pq.read_table(path)
        pq.write_table(table.set_column(table.column_names.index("gold"), "gold", pa.array(["a", "b"] * 40)), path)
    made.settle()
    land(Home(tmp_path), *made.arguments)
    text = write_report(Home(tmp_path), "demo", resamples=200).read_text()
    section = text[text.index('<section id="levels"') :].split("</section>")[0]
    assert "Was the task learnt?" in section
    none, mixed = section.split("<tbody>")[1].split('<td class="n">')[1:]
    assert "not above" in none and "not above" not in mixed and re.match(r"9\d\.\d<br><small>\+4\d\.\d \[", mixed)
