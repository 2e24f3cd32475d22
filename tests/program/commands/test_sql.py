"""`xtreme-dag sql`, as a program."""

import csv
import io
import json
import os
import pty
import select
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from tests.program.commands.landed_home import land_home


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return land_home(tmp_path_factory.mktemp("sql") / "home")


def program(repository, home, *arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(repository), "XTREME_DAG_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "xtreme_dag", "sql", *arguments],
        capture_output=True,
        env=environment,
        timeout=120,
        **options,
    )


def test_every_format(repository, home, tmp_path):
    query = "SELECT condition, average FROM leaderboard ORDER BY rank"
    table = program(repository, home, query)
    assert table.returncode == 0 and table.stdout.decode().splitlines()[-1] == "(3 rows)"
    rows = json.loads(program(repository, home, query, "--format", "json").stdout)
    assert [row["condition"] for row in rows] == ["mixed", "english", "none"]
    read = list(csv.DictReader(io.StringIO(program(repository, home, query, "--format", "csv").stdout.decode())))
    assert [float(row["average"]) for row in read] == [row["average"] for row in rows]
    out = tmp_path / "x.parquet"
    assert program(repository, home, query, "--format", "parquet", "-o", str(out)).returncode == 0
    assert pq.read_table(out).to_pylist() == rows
    assert program(repository, home, query, "--format", "md").stdout.startswith(b"| condition | average |")


def test_the_query_may_come_from_stdin(repository, home):
    done = program(repository, home, "--format", "json", input=b"SELECT 42 AS answer")
    assert json.loads(done.stdout) == [{"answer": 42}]
    done = program(repository, home, "-", "--format", "json", input=b"SELECT 43 AS answer")
    assert json.loads(done.stdout) == [{"answer": 43}]


def test_the_answer_goes_into_a_pipe_whole(repository, home):
    query = "SELECT p.* FROM predictions p, range(20)"
    done = program(repository, home, query, "--format", "parquet")
    assert pq.read_table(io.BytesIO(done.stdout)).num_rows == 3 * 3 * 2 * 3 * 40 * 20


@pytest.mark.parametrize("view", ["by_length", "label_confusion", "predictions"])
def test_views_over_the_rows_find_them(repository, home, tmp_path, view):
    """From any folder: the artifacts' paths are those of the home. The made-up rows have a label each, no lengths."""
    done = program(repository, home, f"SELECT count(*) AS n FROM {view}", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)[0]["n"] > 0) == (view != "by_length")


@pytest.mark.parametrize(
    "word", ["COPY scores TO 'x.csv'", "ATTACH 'x.db'", "INSTALL httpfs", "INSERT INTO scores VALUES (1)"]
)
def test_refusals_are_short_and_fail(repository, home, tmp_path, word):
    done = program(repository, home, word, cwd=tmp_path)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 1 and done.stdout == b"" and len(lines) <= 2
    assert f"{word.split()[0]} is refused: the results are read-only" in lines[0]
    assert list(tmp_path.iterdir()) == []


def test_without_results_it_says_what_to_do(repository, tmp_path):
    done = program(repository, tmp_path / "nowhere", "SELECT 1")
    assert done.returncode == 1 and b"has no results yet" in done.stderr and b"demo" in done.stderr
    assert not (tmp_path / "nowhere").exists()


def test_on_a_terminal_it_asks_and_completes(repository, home):
    """Types into a pseudo-terminal: a prompt comes, Tab completes a name, the answer is printed, exit leaves."""
    environment = {**os.environ, "PYTHONPATH": str(repository), "XTREME_DAG_HOME": str(home), "TERM": "xterm"}
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [sys.executable, "-m", "xtreme_dag", "sql"], environment)
    shown = b""

    def read_until(text):
        nonlocal shown
        deadline = time.monotonic() + 60
        while text not in shown:
            assert time.monotonic() < deadline, shown.decode(errors="replace")
            if select.select([terminal], [], [], 0.2)[0]:
                shown += os.read(terminal, 65536)

    read_until(b"sql>")
    os.write(terminal, b"SELECT max(rank) + 4000 AS r FROM leaderb\t")
    time.sleep(0.5)
    os.write(terminal, b"\r")
    read_until(b"4003")
    os.write(terminal, b"exit\r")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(terminal)
