"""An exported model goes to a hub; what is missing is said."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tests.catalogue.hub_server import HubServer
from tests.evaluation.conftest import base, make_model  # noqa: F401
from xtreme_dag.core.home import Home
from xtreme_dag.heads import HeadSpec
from xtreme_dag.heads.export import CARD
from xtreme_dag.program.commands.model import command
from xtreme_dag.report import model_export
from xtreme_dag.report.model_export import export_stage


@pytest.fixture(scope="module")
def written(make_model, tmp_path_factory):  # noqa: F811
    folder = make_model(nli=HeadSpec(kind="classification", labels=("no", "yes")))
    out = tmp_path_factory.mktemp("written") / "model"
    export_stage(Home(out.parent / "home"), str(folder), out)
    return out


def test_a_folder_of_ones_own_has_a_card_without_lineage(written):
    card = (written / CARD).read_text()
    assert "AutoModelForSequenceClassification" in card and "labels no, yes" in card
    assert "Where it comes from" not in card and "Scores" not in card


def test_it_is_pushed_with_the_token_of_the_environment(written, tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}

    def export(out, **variables):
        command = [
            sys.executable,
            "-m",
            "xtreme_dag",
            "model",
            "export",
            str(written),
            str(tmp_path / out),
            "--push",
            "me/nli",
        ]
        return subprocess.run(command, env={**kept, **variables}, capture_output=True, text=True)

    with HubServer({}) as hub:
        done = export("one", HF_ENDPOINT=hub.url, HF_TOKEN=hub.token)
        assert done.returncode == 0 and f"pushed: {hub.url}/me/nli" in done.stdout, done.stderr
        pushed = hub.models["me/nli"].files
        assert {name: pushed[name] for name in pushed if name != ".gitattributes"} == {
            path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()
        }
        refused = export("two", HF_ENDPOINT=hub.url, HF_TOKEN="not-this-one")
        assert refused.returncode == 1 and "the hub refuses" in refused.stderr and "not-this-one" not in refused.stderr
    told = CliRunner().invoke(
        command, ["export", str(written), str(tmp_path / "three"), "--push", "me/nli"], env={"HF_TOKEN": None}
    )
    assert "no token to push with" in str(told.exception) and not (tmp_path / "three").exists()


def test_an_interval_that_resampling_cannot_give_is_left_out():
    score = model_export.Score(task="t", language="en", split="test", metric="accuracy", value=100.0, low=100.0, high=100.0, examples=9)  # fmt: skip
    assert model_export._interval(score) == ""
