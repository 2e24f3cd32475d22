"""The program out of its wheel, in a folder that is not the checkout: docs/howto-bring-your-own.md, to the letter."""

import os
import random
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.xdist_group("prefect")

PAGE = "docs/howto-bring-your-own.md"


@pytest.fixture(scope="module")
def installed(wheel_file, tmp_path_factory):
    """An environment with the wheel and with what the tests' own has, but for this project; its `xtreme-dag`."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", python, "install", "--no-deps", "--no-index"]
    subprocess.run([*pip, wheel_file], check=True)
    (site,) = folder.glob("lib/*/site-packages")
    # The libraries, as a folder on the path: an editable installation of the checkout among them is not started.
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder / "bin" / "xtreme-dag"


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """A folder with modules of the names that are ours in the checkout; importing one is an error."""
    folder = tmp_path_factory.mktemp("foreign")
    for name in ("flows", "tasks", "studies", "data_contracts"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise RuntimeError('the user\\'s {name} was imported')\n")
    return folder


def run(installed, folder, line, *, fails=False, **more):
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "XTREME_DAG_HOME")}
    environment |= more
    environment["PATH"] = f"{installed.parent}{os.pathsep}{environment['PATH']}"
    core = random.choice(sorted(os.sched_getaffinity(0)))
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        # A run has a worker for each core that it may use; most of its time here goes into what each of them imports.
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    assert (done.returncode != 0) == fails, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_wheel_alone_is_what_runs(installed, foreign):
    say = "import flows, tasks, xtreme_dag; print(flows.__file__, tasks.__file__, xtreme_dag.__file__)"
    python = installed.parent / "python"
    paths = run(installed, foreign, f"{python} -P -c '{say}'").split()
    assert len(paths) == 3 and all(path.startswith(str(installed.parent.parent)) for path in paths)


def test_shipped_studies_are_planned_by_name_anywhere(installed, foreign):
    assert "real_small" in run(installed, foreign, "xtreme-dag studies")
    assert re.search(r"(\d+) stages: \1 new", run(installed, foreign, "xtreme-dag plan demo"))
    run(installed, foreign, "xtreme-dag new mine --from real_small")
    text = (foreign / "mine.yaml").read_text()
    assert text.startswith("# Real data") and "\nstudy: mine\n" in text
    run(installed, foreign, "xtreme-dag new mine --from real_small", fails=True)
    assert ", 0 mistakes" in run(installed, foreign, "xtreme-dag contracts lint")


def test_the_how_to_to_the_letter(installed, foreign, repository, prefect_api):
    """Adds three data sets, trains, evaluates, compares and draws; touches no file of the package.

    The tests' Prefect server is used: one of its own takes seconds to start, each time.
    """
    before = _state(installed)
    ran = []
    for kind, content, name in _blocks((repository / PAGE).read_text().partition("\n# Reference\n")[0]):
        if kind in ("python", "yaml"):
            (foreign / name).write_text(content)
            continue
        for line in content.splitlines():
            ran.append((line, run(installed, foreign, line, PREFECT_API_URL=prefect_api)))
    outputs = dict(ran)
    (plan,) = [text for line, text in ran if line.startswith("xtreme-dag plan")]
    (done,) = [text for line, text in ran if line.startswith("xtreme-dag run")]
    (compared,) = [text for line, text in ran if line.startswith("xtreme-dag compare")]
    count = int(re.search(r"(\d+) stages: ", plan)[1])
    made, cached = map(int, re.search(r"stages: (\d+) succeeded, (\d+) cached, 0 failed, 0 not run", done).groups())
    assert made + cached == count and cached == 18  # `data check` has prepared and checked nine tables
    assert {"andes_nli", "andes_tags", "andes_questions"} <= set(compared.split())
    assert "<svg" in (foreign / "andes.html").read_text() or "vega" in (foreign / "andes.html").read_text()
    assert not any("not valid" in text for text in outputs.values())
    entry = yaml.safe_load((foreign / "catalogue" / "andes_nli.yaml").read_text())
    assert entry["labels"] == ["contradiction", "entailment", "neutral"]
    assert (foreign / "languages.csv").read_text().splitlines()[1:] == ["nah,Nahuatl,,Latin,"]
    assert _state(installed) == before
    # Of the same home: nothing official, and nothing left to do.
    official = "select count(*) from benchmark_languages where task like 'andes%'"
    assert run(installed, foreign, f'xtreme-dag sql "{official}"').split()[-3] == "0"
    assert f"{count} stages: {count} cached" in run(installed, foreign, "xtreme-dag plan andes.yaml")
    # The first stages of the demo, in the same home.
    small = "--set seeds=[1] --set targets=[xnli] --set languages=[en] --set data.miniworld.train=60"
    phase = "--set model.pretrain.steps=2 --set 'intermediate={none: {}}' --set compare={baseline:\\ none}"
    assert "0 failed" in run(installed, foreign, f"xtreme-dag run demo {small} {phase}", PREFECT_API_URL=prefect_api)


def _blocks(page):
    """(kind, content, name of the file that the words before a block say) of each fenced block."""
    for found in re.finditer(r"((?:(?!```).)*)```(\w+)\n(.*?)```", page, re.DOTALL):
        names = re.findall(r"`([\w.]+\.(?:py|yaml))`", found[1])
        yield found[2], found[3], names[0] if names else None


def _state(installed):
    """Every file of the installed package but bytecode, with its size and time."""
    (site,) = installed.parent.parent.glob("lib/*/site-packages")
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns)
        for path in Path(site, "xtreme_dag").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
