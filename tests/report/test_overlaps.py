"""What tables have in common, from the database to the report."""

import json

import pytest

from tests.results.synthetic_study import make_study
from xtreme_dag.contracts.shared import Shared
from xtreme_dag.core.home import Home
from xtreme_dag.report.html import write_report
from xtreme_dag.results.landing import land, rebuild
from xtreme_dag.results.query import reader

FEW = Shared(seen="udpos/en/train", seen_for="train", tested="udpos/en/test", examples=2000, found=4, share=0.002,
             by={"text": 4}, first_ids=[["test-7", "train-1"]], leak=False)  # fmt: skip
ALLOWED = Shared(seen="ud/tr/train", seen_for="train", tested="udpos/tr/test", examples=988, found=595, share=0.61,
                 by={"text": 444, "near": 151}, first_ids=[["test-0", "train-3"]], leak=True, allowed="to show <what> it does")  # fmt: skip


def landed(home, *overlaps):
    made = make_study(home, n=20, seeds=(1,), splits=("test",), tasks={"xnli": "accuracy"})
    land(Home(home), made.study, made.evaluations, made.contracts, made.stages, overlaps)
    return home


def page(home):
    return write_report(Home(home), "demo").read_text(encoding="utf-8")


def test_the_database_keeps_them(tmp_path):
    home = landed(tmp_path, ALLOWED, FEW)
    for again in (False, True):
        if again:
            rebuild(Home(home))
        with reader(Home(home)) as connection:
            rows = connection.execute(
                "SELECT seen, tested, examples, found, ways, first_ids, leak, allowed FROM shared_examples ORDER BY seen"
            ).fetchall()
        assert [(*row[:4], json.loads(row[4]), json.loads(row[5]), *row[6:]) for row in rows] == [
            (one.seen, one.tested, one.examples, one.found, one.by, one.first_ids, one.leak, one.allowed)
            for one in (ALLOWED, FEW)
        ]
    land(Home(home), *make_study(home, n=20, seeds=(1,), splits=("test",)).arguments)  # a later run finds nothing
    with reader(Home(home)) as connection:
        assert connection.execute("SELECT count(*) FROM shared_examples").fetchone() == (0,)


def test_a_leak_stands_in_the_report_with_the_reason(tmp_path):
    text = page(landed(tmp_path, ALLOWED, FEW))
    section = text[text.index('id="overlaps"') :].split("</section>")[0]
    assert "ud/tr/train" in section and "595 of 988" in section and "near 151, text 444" in section
    assert "to show &lt;what&gt; it does" in section and "1 pair of tables has more in common" in section
    assert section.index("udpos/en/train") > section.index("Examples that recur")


@pytest.mark.parametrize(("found", "shown"), [((), False), ((FEW,), True)])
def test_without_a_leak(tmp_path, found, shown):
    text = page(landed(tmp_path, *found))
    assert ('id="overlaps"' in text) is shown
    assert ("no more than by chance" in text) is shown
