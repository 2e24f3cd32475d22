"""The manual: every command on its pages is run, every block of code is tried, and it builds without a warning."""

import os
import re
import shlex
import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

from tests.program.test_documented_commands import calls
from xtreme_dag.program.cli import program
from xtreme_dag.study.file import Study

pytestmark = pytest.mark.xdist_group("finished")

# What stands on the pages for something of the reader's own, and what it is here.
NAMES = {
    r"^(studies/\w+\.yaml|my\.yaml|mine\.yaml|STUDY|demo|my|mine|S|smaller)$": "tiny",
    r"^STAGE$": "target[xnli | mixed | seed 1]",
    r"^(real_multilingual|mini_few_shot|andes)$": "tiny",
    r"^(C|published)$": "mixed",
    r"^N$": "1",
    r"^(folder:)?(PATH|xtreme_data)$": r"\1release",
    r"^data\.folder=xtreme_data$": "data.folder=../shared/data",
    r"^(paper/|exported/)": "out/",
    r"^figures$": "out/figures",
    r"^\w+\.html$": "out.html",
    r"^(URL|s3://bucket/folder)$": "mirror",
}
# What another test runs, since it needs more than a finished study: the words that a call begins with -> the test.
ELSEWHERE = {
    "--help": "program/test_cli.py",
    "accept": "e2e/test_harm.py",
    "compare --task xnli --metric macro_f1": "scoring/test_added_metrics.py",
    "contracts diff": "program/commands/test_contracts.py",
    "contracts docs": "program/commands/test_contracts.py",
    "contracts lint": "program/commands/test_contracts.py",
    "curves export --tensorboard": "e2e/test_face.py",
    "data add": "test_installed.py",
    "data check": "program/commands/test_data.py",
    "data ls --source folder:FOLDER": "contracts/test_howto.py",
    "data revisions": "catalogue/test_hub.py",
    "data show": "test_installed.py",
    "deploy": "flows/test_deploy.py",
    "import": "program/commands/test_export_import.py",
    "model convert": "wiring/test_convert.py",
    "model export": "e2e/test_publishing.py",
    "doctor --model": "program/commands/test_model_check.py",
    "plan studies/demo.yaml --power": "program/commands/test_plan_power.py",
    "plan andes.yaml": "test_installed.py",
    "run mini_few_shot": "wiring/test_learning_curves.py",
    "plan real_multilingual": "e2e/test_real_multilingual.py",
    "results add": "program/commands/test_results.py",
    "run": "e2e/test_study.py",
    "run andes.yaml": "test_installed.py",
    "run real_multilingual": "e2e/test_real_multilingual.py",
    "run studies/demo.yaml --engine": "flows/test_engines.py",
    "score": "program/commands/test_score.py",
    "status --watch": "program/commands/test_status.py",
    "table leaderboard --spread": "report/test_paper.py",
    "table learning-curves": "report/test_paper.py",
    "verify-resume": "program/commands/test_verify_resume.py",
}
MENTIONED = ("plan", "why", "sql", 'sql "..."')  # named in a sentence, not called


def run_here(repository):
    """The calls of the manual that no other test runs, each once."""
    found = dict.fromkeys(line for _page, line in calls(repository))
    return [line for line in found if not any(line.startswith(words) for words in ELSEWHERE)]


def words_of(line):
    words = [word for word in shlex.split(line.split(" > ")[0]) if word not in ("[STUDY]",)]
    if words[0] == "new":  # it writes a study under the name that it is given
        return words
    for pattern, name in NAMES.items():
        words = [re.sub(pattern, name, word) for word in words]
    return words


def test_every_command_of_the_manual_runs(finished, repository, tmp_path, monkeypatch):
    """In this process; calls that differ in their names alone are one here."""
    (tmp_path / "tiny.yaml").write_text((finished.folder / "study.yaml").read_text())
    for name in ("release", "data_contracts"):
        (tmp_path / name).symlink_to(finished.folder / name)
    home = finished.copy_home("manual")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XTREME_DAG_HOME", str(finished.folder / home))
    monkeypatch.setenv("PREFECT_API_URL", finished.api)
    finished.call("run", "study.yaml", "--mirror", str(tmp_path / "mirror"), home=home)  # makes a mirror for the others
    ran, failed = {}, []
    for line in run_here(repository):
        if line in MENTIONED:
            continue
        words = words_of(line)
        place = words.index("tiny") if "tiny" in words and "--study" not in words else None
        if place is not None and words[0] != "status":
            words[place] = "tiny.yaml"
        if tuple(words) in ran:
            continue
        (tmp_path / "mine.yaml").unlink(missing_ok=True)  # `new` writes it more than once
        done = ran[tuple(words)] = CliRunner().invoke(program, words)
        if done.exit_code:
            failed.append((line, words, done.output[-400:], done.exception))
    assert not failed, "\n".join(map(str, failed))
    assert len(ran) > 30


def test_what_other_tests_run_is_run_there(repository):
    lines = [line for _page, line in calls(repository)]
    for words, where in ELSEWHERE.items():
        assert any(line.startswith(words) for line in lines), f"no page has {words!r} any more"
        text = (repository / "tests" / where).read_text()
        called = [word for word in words.split() if not word.startswith("-")][:1]
        assert all(re.search(rf"\b{word}(?![a-z])", text) for word in called), (words, where)


def blocks(repository):
    for path in [repository / "README.md", *sorted((repository / "docs").rglob("*.md"))]:
        for language, text in re.findall(r"^```(\w*)\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
            yield path.relative_to(repository).as_posix(), language, text


def test_every_block_is_tried(repository):
    """YAML reads, Python compiles; SQL, Python and studies are run by the tests of their pages."""
    kinds = set()
    for page, language, text in blocks(repository):
        kinds.add(language)
        if language in ("yaml", "json"):
            assert yaml.safe_load(text), page
        if language == "python":
            compile(text, page, "exec")
    assert kinds <= {"", "sh", "text", "yaml", "json", "toml", "tsv", "sql", "python"}


def test_the_study_of_the_readme_is_one(repository):
    (text,) = (text for page, language, text in blocks(repository) if (page, language) == ("README.md", "yaml"))
    assert Study.model_validate(yaml.safe_load(text)).compare.condition == "mixed"


def test_it_builds_strictly(repository, tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr
    pages = {path.parent.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("index.html")}
    assert {"reference/commands", "reference/study", "reference/database", "reference/catalogue", "findings"} <= pages
    html = (tmp_path / "site" / "reference" / "commands" / "index.html").read_text()
    assert all(f"xtreme-dag {name}" in html for name in ("run", "plan", "model export", "data add"))
    for path in (tmp_path / "site").rglob("*.html"):  # nothing is fetched from elsewhere
        assert not re.findall(
            r'<(?:script|link|img)[^>]+(?:src|href)="https?://(?!.*rel="canonical")', path.read_text()
        )


@pytest.fixture
def reference(repository, monkeypatch):
    monkeypatch.syspath_prepend(repository / "docs" / "_site")
    import reference

    return reference


def test_every_key_table_and_view_is_explained(reference):
    missing = {
        kind: sorted(set(reference.keys_of(kind)) - set(reference.meanings_of(kind)))
        for kind in reference.STUDY.values()
    }
    assert not {kind.__name__: names for kind, names in missing.items() if names}
    parts = re.split(r"^### ", reference.database_page(), flags=re.MULTILINE)[1:]
    bare = [part.split("\n")[0] for part in parts if not part.split("\n")[2].strip()]
    assert len(parts) > 50 and not bare
