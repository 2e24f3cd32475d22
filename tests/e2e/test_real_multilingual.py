"""The short form of the study on a real multilingual encoder, through Prefect, on real data."""

import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import chdir

import pytest
from click.testing import CliRunner

from xtreme_dag.program.cli import program

pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.real]


@pytest.fixture(scope="module")
def call(repository, shared, multilingual_encoder, prefect_api, tmp_path_factory):
    """Runs a command of the program about the study, in a home of its own; returns its JSON."""
    home = tmp_path_factory.mktemp("multilingual") / "home"
    settings = ["--set", f"model={{folder: {multilingual_encoder}}}", "--set", f"data.folder={shared / 'data'}"]
    environment = {**os.environ, "PREFECT_API_URL": prefect_api, "PYTHONPATH": str(repository)}

    def run(command, *arguments):
        about = ["real_multilingual_smoke", *settings] if command in ("run", "plan", "audit") else []
        form = ("--format", "json") if command == "sql" else ("--json",)
        words = [command, *about, *arguments, *form, "--home", str(home)]
        if command == "run":
            done = subprocess.run([sys.executable, "-m", "xtreme_dag", *words], cwd=repository, env=environment,
                                  capture_output=True, text=True)  # fmt: skip
            code, out, said = done.returncode, done.stdout, done.stderr
        else:
            with chdir(repository):
                answer = CliRunner().invoke(program, words)
            code, out, said = answer.exit_code, answer.stdout, answer.stderr
        assert code == 0, out + said
        return json.loads(out)

    return run


def test_it_runs_to_its_end_and_says_what_it_found(call):
    outcome = call("run")
    assert outcome["stages"]["failed"] == outcome["stages"]["not run"] == outcome["stages"]["cached"] == 0
    again = Counter(stage["status"] for stage in call("plan")["stages"])
    assert again == {"cached": outcome["stages"]["succeeded"]}
    audit = call("audit")
    assert audit["audits"] and not audit["failed"]
    query = "SELECT condition, task, language, value FROM scores WHERE is_primary AND split = 'test'"
    scores = {(row["condition"], row["task"], row["language"]): row["value"] for row in call("sql", query)}
    # Bare, the encoder finds translations by itself: a real one, whole, in languages far apart.
    assert all(scores["none", "tatoeba", language] > 70 for language in ("de", "sw", "zh"))
    assert scores["none", "bucc2018", "zh"] > 70
    found = call("compare", "--study", "real_multilingual_smoke")
    assert {one["condition"] for one in found} == {"none", "mixed"}
