"""When database and report count as up to date."""

import shutil

from xtreme_dag.core.home import Home
from xtreme_dag.engine.keys import Keys
from xtreme_dag.results import stamp
from xtreme_dag.results.stamp import is_published, landing_path, mark_published, publication, report_path
from xtreme_dag.study.file import load_study


def test_a_changed_template_style_or_script_makes_a_report_anew(repository, tmp_path, monkeypatch):
    study, keys = load_study(repository / "studies" / "demo.yaml"), Keys()
    before = publication(study, {}, keys)
    shutil.copytree(repository / "xtreme_dag" / "report", tmp_path / "report")
    monkeypatch.setattr(stamp, "_PAGE", tmp_path / "report")
    assert publication(study, {}, keys) == before
    for name in ("templates/transfer.html", "report.css", "report.js"):
        with (tmp_path / "report" / name).open("a") as file:
            file.write("\n")
        before, after = publication(study, {}, keys), before
        assert before != after


def test_a_run_publishes_again_what_is_gone(repository, tmp_path):
    study, home = load_study(repository / "studies" / "demo.yaml"), Home(tmp_path).ensure()
    kept = home.results, landing_path(home, study.study), report_path(home, study)
    for path in kept:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    mark_published(home, study, "same", [], [])
    assert is_published(home, study, "same") and not is_published(home, study, "other")
    for path in kept:
        path.unlink()
        assert not is_published(home, study, "same")
        path.touch()
    assert is_published(home, study, "same")
