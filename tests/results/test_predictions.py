"""Predictions that are damaged, swapped or missing are named; a damaged database is made again."""

import os
import shutil

import pytest

from tests.results.synthetic_study import make_study
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine import digests
from xtreme_dag.report.samples import samples
from xtreme_dag.results.compare import compare_conditions
from xtreme_dag.results.database import is_sound
from xtreme_dag.results.landing import land
from xtreme_dag.results.query import reader, run_query


@pytest.fixture(scope="module")
def landed(tmp_path_factory):
    root = tmp_path_factory.mktemp("landed") / "home"
    land(Home(root), *make_study(root, n=40, splits=("test",), tasks={"xnli": "accuracy"}).arguments)
    return root


@pytest.fixture
def home(landed, tmp_path):
    """The home of the study, to be damaged."""
    return shutil.copytree(landed, tmp_path / "home", symlinks=True)


def paths(home):
    with reader(Home(home)) as connection:
        rows = connection.execute("SELECT condition, predictions FROM evaluations ORDER BY ALL").fetchall()
    return {condition: home / path for condition, path in rows}


def commands(home):
    """What reads predictions."""

    def ask():
        with reader(Home(home)) as connection:
            run_query(connection, "SELECT count(*) FROM predictions")

    return {
        "compare": lambda: compare_conditions(Home(home), resamples=20),
        "sql": ask,
        "samples": lambda: samples(Home(home), "demo", "test", "none", ["mixed"]),
    }


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def fifo(path):
    path.unlink()
    os.mkfifo(path)


def folder(path):
    path.unlink()
    path.mkdir()


DAMAGE = {
    "flip": flip,
    "truncate": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "empty": lambda path: path.write_bytes(b""),
    "grow": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "delete": lambda path: path.unlink(),
    "directory": folder,
    "pipe": fifo,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("command", ["compare", "sql", "samples"])
def test_a_damaged_file_is_named_in_a_line(home, command, damage):
    run, victim = commands(home)[command], paths(home)["mixed"]
    victims = [path for path in victim.parents[2].rglob("*.parquet") if path.parent.name in str(victim)]
    run()
    DAMAGE[damage](victims[0])
    if command == "samples":  # reads the first seed of some languages: all files of the condition are damaged
        with reader(Home(home), predictions=False) as connection:
            rows = connection.execute("SELECT predictions FROM evaluations WHERE condition = 'mixed'").fetchall()
        for path in {home / row[0] for row in rows} - set(victims):
            DAMAGE[damage](path)
    with pytest.raises(UserError, match=r"gone|damaged or swapped") as error:
        run()
    assert "predictions.parquet" in error.value.where and len(error.value.what.splitlines()) == 1


@pytest.mark.parametrize("command", ["compare", "sql"])
def test_two_swapped_files_are_noticed(home, command):
    found = paths(home)
    one, other = found["none"], found["mixed"]
    commands(home)[command]()
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)
    with pytest.raises(UserError, match="damaged or swapped") as error:
        commands(home)[command]()
    assert error.value.where in (str(one), str(other))


def test_files_that_have_not_changed_are_hashed_once(home, monkeypatch):
    commands(home)["compare"]()
    hashed = []
    monkeypatch.setattr(digests, "file_digest", lambda path: hashed.append(path) or "")
    for run in commands(home).values():
        run()
    assert hashed == []


STEP = 24_576  # bytes from one damage to the next


def spoilt(content, at):
    """The file with 4 KiB flipped."""
    return content[:at] + bytes(byte ^ 255 for byte in content[at : at + 4096]) + content[at + 4096 :]


def test_a_damaged_database_is_named_and_made_again(home, capfd):
    database = home / "results.duckdb"
    before = compare_conditions(Home(home), resamples=20)
    content, telling = database.read_bytes(), []
    for at in range(0, len(content), STEP):  # not all of a file is read: indices are for writers
        database.write_bytes(spoilt(content, at))
        if not is_sound(database):
            telling.append(at)
    assert len(telling) > len(content) / STEP / 6
    for place in (0.0, 0.3, 0.6, 0.9):
        database.write_bytes(spoilt(content, telling[int(len(telling) * place)]))
        assert compare_conditions(Home(home), resamples=20) == before
        assert f"{database} is damaged: made again" in capfd.readouterr().err
        assert compare_conditions(Home(home), resamples=20) == before and capfd.readouterr().err == ""


def test_landing_over_a_damaged_database_makes_it_again(home, capfd):
    made = make_study(home, name="second", n=20, splits=("test",))
    content = bytearray((home / "results.duckdb").read_bytes())
    content[20_000:] = bytes(len(content) - 20_000)
    (home / "results.duckdb").write_bytes(content)
    land(Home(home), *made.arguments)
    assert "made again from the landings" in capfd.readouterr().err
    with reader(Home(home), predictions=False) as connection:
        assert connection.execute("SELECT count(*) FROM studies").fetchone() == (2,)


def test_a_folder_in_the_place_of_the_database_is_named(home):
    (home / "results.duckdb").unlink()
    (home / "results.duckdb").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        compare_conditions(Home(home))
