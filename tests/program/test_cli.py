"""The program: quick help with an example for every command, errors in one or two lines."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from xtreme_dag.program.cli import COMMANDS, main, program

DEMO = "studies/demo.yaml"


def call(*arguments, cwd, home=None, **environment):
    command = [sys.executable, "-m", "xtreme_dag", *arguments, *(["--home", str(home)] if home else [])]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XTREME_DAG")}
    return subprocess.run(command, cwd=cwd, env={**kept, **environment}, capture_output=True, text=True, timeout=300)


def assert_one_clear_error(done, *words):
    assert done.returncode != 0
    lines = done.stderr.strip().splitlines()
    assert 1 <= len(lines) <= 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name):
    result = CliRunner().invoke(program, [name, "--help"])
    assert result.exit_code == 0
    assert "xample" in result.output or "Commands:" in result.output, result.output


def test_help_is_quick_and_lists_every_command(repository):
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = call("--help", cwd=repository)
        times.append(time.perf_counter() - start)
    assert done.returncode == 0 and all(name in done.stdout for name in COMMANDS)
    code = "import sys; from xtreme_dag.program.cli import COMMANDS; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert {name for name in loaded.stdout.split() if name.startswith("xtreme_dag")} == {
        "xtreme_dag", "xtreme_dag.core", "xtreme_dag.core.disk", "xtreme_dag.core.errors", "xtreme_dag.core.processes",
        "xtreme_dag.core.quick_imports", "xtreme_dag.core.quick_torch", "xtreme_dag.core.quick_transformers",
        "xtreme_dag.program", "xtreme_dag.program.cli",
    }  # fmt: skip
    assert not {"rich", "yaml", "pydantic", "numpy"} & set(loaded.stdout.split())


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("targets=[xnlii]", ["xnlii", "xnli"]),
        ("targets=[udpos,udpos]", ["twice"]),
        ("languages=[xx]", ["no language 'xx'"]),
        ("sedes=[1]", ["sedes", "seeds"]),
        ("seeds=[a]", ["seeds.0"]),
        ("intermediate.english.budget.exampels=3", ["exampels", "examples"]),
        ("intermediate.mixed.mixture=[{dataset: xnli, languages: {en: 0.5, qaa: 0.4}}]", ["sum to 0.9"]),
        ("compare.baseline=englsh", ["englsh", "english"]),
        ("recipe=quik", ["quik", "quick"]),
        ("recipe.target.default.learning_rat=1", ["learning_rat", "learning_rate"]),
        ("data.folder=nowhere", ["one source"]),
        ("model.package=no_such_package", ["one of"]),
        ("study=Not A Name", ["study"]),
        ("novalue", ["KEY=VALUE"]),
        ("compare={baseline: none, baseline: english}", ["compare"]),
    ],
)
def test_mistakes_in_a_study_name_the_key(repository, tmp_path, capfd, assignment, words):
    with pytest.raises(SystemExit) as ended:
        main(["plan", str(repository / DEMO), "--set", assignment, "--home", str(tmp_path / "home")])
    said = capfd.readouterr()
    assert_one_clear_error(subprocess.CompletedProcess([], ended.value.code, said.out, said.err), *words)
    assert not (tmp_path / "home").exists()


def test_files_that_are_not_there_or_not_studies(repository, tmp_path):
    assert_one_clear_error(call("plan", "studies/demos.yaml", cwd=repository), "demos.yaml", "demo.yaml")
    (tmp_path / "list.yaml").write_text("[1, 2]")
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "latin.yaml").write_bytes("study: \xe9".encode("latin-1"))
    assert_one_clear_error(call("plan", str(tmp_path / "list.yaml"), cwd=repository), "no mapping")
    assert_one_clear_error(call("plan", str(tmp_path / "broken.yaml"), cwd=repository), "not YAML")
    assert_one_clear_error(call("plan", str(tmp_path / "latin.yaml"), cwd=repository), "UTF-8")


def test_unknown_commands_stages_and_devices(repository, tmp_path):
    home = tmp_path / "home"
    assert_one_clear_error(call("pln", cwd=repository), "plan")
    assert_one_clear_error(
        call("why", DEMO, "target[xnlx | mixed | seed 1]", cwd=repository, home=home), "target[xnli | mixed | seed 1]"
    )
    assert_one_clear_error(call("run", DEMO, "--device", "cuda:7", cwd=repository, home=home), "cuda:7")
    assert_one_clear_error(call("sql", "select 1", cwd=repository, home=home))


def test_a_missing_data_folder(repository, tmp_path):
    arguments = ("studies/real_small.yaml", "--set", "data.folder=nowhere")
    done = call("run", *arguments, cwd=repository, home=tmp_path / "home")
    assert_one_clear_error(done, "nowhere")
    # A plan of a study whose data are elsewhere says what is missing, and is no error.
    done = call("plan", *arguments, cwd=repository, home=tmp_path / "home")
    assert done.returncode == 0 and "nowhere" in done.stdout
    assert not (tmp_path / "home" / "store" / "objects").exists()


def test_a_home_that_cannot_be_written(repository, tmp_path):
    (tmp_path / "file").write_text("")
    done = call("run", DEMO, cwd=repository, home=tmp_path / "file" / "home")
    assert_one_clear_error(done, "cannot be written", "--home")


def test_debug_shows_the_traceback(repository, tmp_path):
    done = call("--debug", "plan", "nothing.yaml", cwd=repository, home=tmp_path)
    assert done.returncode == 1 and "Traceback" in done.stderr


def test_a_reader_that_stops_reading_is_no_error(repository, tmp_path):
    command = f"{sys.executable} -m xtreme_dag plan {DEMO} --all --home {tmp_path} | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=repository, capture_output=True, text=True)
    assert done.returncode in (0, 141) and "Traceback" not in done.stderr and "Exception" not in done.stderr


def test_installed_and_module_are_the_same_program(repository):
    installed = Path(sys.executable).parent / "xtreme-dag"
    done = subprocess.run([installed, "--help"], capture_output=True, text=True)
    assert done.stdout == call("--help", cwd=repository).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_commands_and_options(shell, repository):
    def completed(words, number):
        told = {"COMP_WORDS": words, "COMP_CWORD": words.split()[-1] if shell == "fish" else str(number)}
        done = call(cwd=repository, _XTREME_DAG_COMPLETE=f"{shell}_complete", **told)
        assert done.returncode == 0
        return done.stdout

    readme = (repository / "README.md").read_text()
    assert f"_XTREME_DAG_COMPLETE={shell}_source xtreme-dag" in readme
    assert "compare" in completed("xtreme-dag compar", 1)
    assert "--confidence" in completed("xtreme-dag compare --conf", 2)
    assert "xtreme-dag" in call(cwd=repository, _XTREME_DAG_COMPLETE=f"{shell}_source").stdout
