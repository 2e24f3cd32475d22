"""Landing under fire: killed writers, waiting writers, readers at any moment."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.results import database
from xtreme_dag.results.landing import land, rebuild
from xtreme_dag.results.query import reader

WRITERS = """
import os, sys
sys.path.insert(0, {folder!r})
from pathlib import Path
from tests.results.synthetic_study import make_study
from xtreme_dag.core.home import Home
from xtreme_dag.results.landing import land
home = Path({home!r})
made = [
    make_study(home, name="victim", conditions={{"none": .5, "mixed": .6}}, seeds=seeds, n=5) for seeds in ((1,), (1, 2))
]
for _ in sys.stdin:  # each line starts a writer: a fork, which has all libraries
    writer = os.fork()
    if not writer:
        land(Home(home), *made[0].arguments)
        print(os.getpid(), flush=True)
        while True:
            for one in made[::-1]:
                land(Home(home), *one.arguments)
    os.waitpid(writer, 0)
    print("gone", flush=True)
"""


def counts(home):
    with reader(Home(home), predictions=False) as connection:
        return connection.execute(
            "SELECT (SELECT count(*) FROM evaluations WHERE study = 'victim'),"
            " (SELECT count(*) FROM scores WHERE study = 'victim'), (SELECT count(*) FROM stages WHERE study = 'victim' AND current),"
            " (SELECT count(*) FROM condition_stages WHERE study = 'victim'),"
            " (SELECT count(*) FROM evaluations WHERE study = 'bystander')"
        ).fetchone()


def test_killed_at_any_moment_no_half_landing_is_visible(make, home, repository):
    land(Home(home), *make(name="bystander", conditions={"none": 0.5, "mixed": 0.6}, seeds=(1,), n=5).arguments)
    code = WRITERS.format(folder=str(repository), home=str(home))
    whole = {(36, 96, 45, 46, 36), (72, 192, 87, 88, 36)}
    environment = os.environ | {"PYTHONPATH": str(repository)}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env=environment,
    ) as writers:
        for delay in (0.02, 0.05, 0.09, 0.14, 0.2, 0.27):
            writers.stdin.write("start\n")
            pid = int(writers.stdout.readline())
            time.sleep(delay)
            os.kill(pid, signal.SIGKILL)
            assert writers.stdout.readline() == "gone\n"
            assert counts(home) in whole
            with database.locked(Home(home).results, wait_seconds=5):  # the dead writer's lock is free
                pass
        writers.stdin.close()
    rebuild(Home(home))
    assert counts(home) in whole
    leftovers = [path.name for path in home.iterdir() if path.name.startswith(".results")]
    assert leftovers == []


def test_readers_see_whole_landings_while_writers_write(make, home):
    first, second = (make(conditions={"none": 0.5, "mixed": 0.6}, seeds=seeds, n=5) for seeds in ((1,), (1, 2)))
    land(Home(home), *first.arguments)
    landings = []

    def write():
        for made in [second, first] * 2:
            landings.append(land(Home(home), *made.arguments).changed)

    def read():
        with database.reading(Home(home).results) as connection:
            seen.add(connection.execute("SELECT count(*), count(DISTINCT seed) FROM evaluations").fetchone())

    seen, during = set(), 0
    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        with_before = len(landings)
        read()
        during += len(landings) == with_before  # it began and ended within one landing: nobody made it wait
    writer.join()
    assert landings == [True] * 4
    assert seen and seen <= {(36, 1), (72, 2)} and during > 0


def test_a_reader_of_the_same_process_does_not_hold_the_writer_in_the_past(make, home):
    """One DuckDB instance serves a path in a process: whoever decides by it sees the file that its first user opened."""
    first, second = (make(conditions={"none": 0.5, "mixed": 0.6}, seeds=seeds, n=5) for seeds in ((1,), (1, 2)))
    assert land(Home(home), *first.arguments).changed
    with database.connect(Home(home).results, read_only=True) as old:
        assert land(Home(home), *second.arguments).changed
        assert not land(Home(home), *second.arguments).changed
        assert land(Home(home), *first.arguments).changed
        assert old.execute("SELECT count(*) FROM evaluations").fetchone() == (36,)
        with database.reading(Home(home).results) as connection:
            assert connection.execute("SELECT count(*) FROM evaluations").fetchone() == (36,)


def test_a_second_writer_waits_and_says_for_whom(make, home):
    made = make(conditions={"none": 0.5, "mixed": 0.6}, seeds=(1,), n=5)
    path = Home(home).results
    waiting = database.locked(path, wait_seconds=0.1)
    expected = pytest.raises(UserError, match=rf"process {os.getpid()} \(writing results\)")
    with database.locked(path), expected, waiting:
        pass
    done = []
    with database.locked(path):
        other = threading.Thread(target=lambda: done.append(land(Home(home), *made.arguments)))
        other.start()
        time.sleep(0.3)
        assert not done
    other.join(30)
    assert done[0].changed


def test_a_reader_that_is_open_keeps_what_it_saw(make, home):
    land(Home(home), *make(conditions={"none": 0.5, "mixed": 0.6}, seeds=(1,), n=5).arguments)
    with reader(Home(home)) as connection:
        land(Home(home), *make(conditions={"none": 0.5, "mixed": 0.6}, seeds=(1, 2), n=5).arguments)
        assert connection.execute("SELECT count(*) FROM evaluations").fetchone() == (36,)
    with reader(Home(home)) as connection:
        assert connection.execute("SELECT count(*) FROM evaluations").fetchone() == (72,)
