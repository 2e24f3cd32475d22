"""Garbage collection: five ways in which it has lost live work, and what it may remove."""

import json
import os
import shutil
import threading
import time

import pytest
from click.testing import CliRunner

from tests.engine.test_damage import file_of, record_of
from xtreme_dag.core.locks import try_lock, unlock
from xtreme_dag.engine.garbage import Needed, collection, trash
from xtreme_dag.engine.ledger import Ledger
from xtreme_dag.engine.local import run_local
from xtreme_dag.engine.store import Store
from xtreme_dag.program.commands.gc import command as gc


@pytest.fixture
def ran(toy, pool):
    """A study that ran twice: what the second run replaced is garbage, and all of it is old."""
    run_local(toy.graph(loud=True), toy.executor(pool))
    run_local(toy.graph(), toy.executor(pool))
    age(toy)
    return toy


def age(toy, seconds=3 * 86400):
    for path in (toy.home.store).rglob("*"):
        os.utime(path, (time.time() - seconds,) * 2)


def collect(toy, *options):
    done = CliRunner().invoke(gc, ["--home", str(toy.home.root), "--json", *options])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def all_cached(toy):
    return toy.planner().plan(toy.graph()).all_cached


def test_what_a_later_run_replaced_goes_through_the_trash(ran):
    before = set(ran.home.store.rglob("*.json"))
    for options in ((), ("--dry-run",), ("--yes", "--dry-run")):
        found = collect(ran, *options)
        assert found["records"] == found["artifacts"] == 7 and found["removed"] is False
        assert set(ran.home.store.rglob("*.json")) == before and not trash(ran.home).exists()
    assert collect(ran, "--yes")["removed"] is True
    assert all_cached(ran) and len(list(Store(ran.home.store).records())) == 7
    (place,) = trash(ran.home).iterdir()
    assert len(list(place.rglob("records/*/*.json"))) == 7
    assert not ran.planner().plan(ran.graph(loud=True)).all_cached
    shutil.copytree(place, ran.home.root, dirs_exist_ok=True)  # a mistake can be undone
    assert ran.planner().plan(ran.graph(loud=True)).all_cached
    age(ran)
    assert collect(ran, "--yes")["trash"] == 1 and not place.exists()


def test_on_a_terminal_and_in_a_pipe_nothing_goes_without_yes(ran):
    done = CliRunner().invoke(gc, ["--home", str(ran.home.root)])
    assert "would remove 7 records" in done.output and "nothing was removed: that takes --yes" in done.output


def test_young_records_stay_with_what_they_read(toy, pool):
    run_local(toy.graph(loud=True), toy.executor(pool))
    run_local(toy.graph(), toy.executor(pool))
    assert collect(toy)["records"] == 0 and collect(toy, "--older-than", "0")["records"] == 7
    young = record_of(toy, "target[all]", toy.graph(loud=True))
    age(toy)
    os.utime(Store(toy.home.store).record_path(young.key))
    assert collect(toy)["records"] == 3  # the prepared tables: the young record read the encoded ones


def test_without_a_ledger_everything_stays(ran):
    ran.home.ledger.unlink()
    found = collect(ran, "--yes")
    assert (
        found["records"] == found["artifacts"] == 0 and "14 records that the ledger does not know" in found["kept"][0]
    )


@pytest.mark.parametrize("cut", ["at a line", "in a line"])
def test_half_a_ledger_loses_nothing(ran, cut):
    lines = ran.home.ledger.read_bytes().splitlines(keepends=True)
    ran.home.ledger.write_bytes(
        b"".join(lines[: len(lines) // 2]) + (lines[len(lines) // 2][:40] if cut != "at a line" else b"")
    )
    collect(ran, "--yes")
    assert all_cached(ran)


def test_a_flipped_bit_anywhere_in_the_last_lines_loses_nothing(ran):
    """A byte of the ledger changes; whatever it is, the artifacts of the last run stay."""
    content = ran.home.ledger.read_bytes()
    live = {planned.key for planned in ran.planner().plan(ran.graph()).stages}
    start = len(b"".join(content.splitlines(keepends=True)[:-1]))
    for place in range(start, len(content)):
        for mask in (1, 4, 64):
            damaged = bytearray(content)
            damaged[place] ^= mask
            ran.home.ledger.write_bytes(bytes(damaged))
            with collection(ran.home, Needed(), 3600.0) as garbage:
                assert not {record.key for record in garbage.records} & live, damaged[start:]


def test_a_torn_line_glued_to_the_next_loses_nothing_and_is_named(ran):
    lines = ran.home.ledger.read_bytes().splitlines(keepends=True)
    ran.home.ledger.write_bytes(b"".join([*lines[:-2], lines[-2][:70], lines[-1]]))
    found = collect(ran, "--yes")
    assert all_cached(ran) and any("1 damaged lines" in line for line in found["kept"])


def test_what_is_committed_during_a_collection_stays(toy, pool):
    """A study runs while one collection after the other removes whatever it can, however young."""
    run_local(toy.graph(loud=True), toy.executor(pool))
    done = threading.Event()
    removed = []

    def collecting():
        while not done.is_set():
            removed.append(collect(toy, "--yes", "--older-than", "0")["records"])

    thread = threading.Thread(target=collecting)
    thread.start()
    try:
        outcomes = run_local(toy.graph(sleep=0.2), toy.executor(pool))
    finally:
        done.set()
        thread.join()
    assert set(outcomes.values()) == {"succeeded"} and len(removed) > 1
    assert toy.planner().plan(toy.graph(sleep=0.2)).all_cached


def test_an_unreadable_record_keeps_the_artifacts_that_no_other_has(ran):
    store, artifact = Store(ran.home.store), file_of(ran, "encode[b]")
    path = store.record_path(record_of(ran, "encode[b]").key)
    good = path.read_bytes()
    path.write_bytes(good[:100])
    found = collect(ran, "--yes")
    assert any(str(path) in line for line in found["kept"])
    path.write_bytes(good)
    assert artifact.is_file() and all_cached(ran)


def test_an_orphaned_artifact_goes_when_it_is_old(ran):
    store = Store(ran.home.store)
    store.record_path(record_of(ran, "target[all]").key).unlink()
    # Its ledger line names a record that is not there: the earlier one of its stage stays for that reason.
    found = collect(ran)
    assert found["records"] == 6 and found["artifacts"] == 7


def test_work_that_was_touched_lately_or_is_under_way_stays(ran):
    old, young = (ran.home.work / (letter * 64) / "scratch" for letter in "ab")
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "checkpoint").write_text("x")
    for path in (old / "checkpoint", old, old.parent):
        os.utime(path, (1e9, 1e9))
    assert collect(ran, "--yes")["work"] == 1
    assert young.is_dir() and not old.exists()


def test_old_lock_files_go_and_those_that_are_held_or_new_stay(ran):
    locks = ran.home.store / "locks"
    (locks / "new.lock").touch()
    (held, other), made = sorted(locks.glob("*.use.lock"))[:2], len(list(locks.glob("*.lock")))
    handle = try_lock(held, "", shared=True)
    assert collect(ran)["locks"] == made - 2  # all but new.lock, and store.lock, which is the collection's own
    assert len(list(locks.glob("*.lock"))) == made
    assert collect(ran, "--yes")["locks"] == made - 3
    assert {path.name for path in locks.iterdir()} == {"new.lock", "store.lock", held.name} and not other.exists()
    unlock(handle)
    assert all_cached(ran)


def test_a_run_removes_what_killed_runs_left_but_what_can_be_gone_on_from(toy, pool):
    checkpoint, partial, pulled, held, young = (toy.home.work / (letter * 64) for letter in "abcde")
    files = (checkpoint / "scratch/checkpoints/step-1", checkpoint / "out/half", partial / "out/half",
             partial / "scratch/.lock", pulled / "pulled/half", held / "out/half", young / "out/half")  # fmt: skip
    for path in files:
        path.parent.mkdir(parents=True)
        path.write_text("x")
    for path in toy.home.work.rglob("*"):
        if young not in (path, *path.parents):
            os.utime(path, (1e9, 1e9))
    handle = try_lock(toy.planner().store.lock_path(held.name), "another run")
    assert set(run_local(toy.graph(), toy.executor(pool)).values()) == {"succeeded"}
    unlock(handle)
    left = {path for path in toy.home.work.rglob("*") if path.is_file()}
    assert left == {files[0], files[5], files[6]} and not partial.exists() and not pulled.exists()


def test_landings_are_roots_and_an_unreadable_one_keeps_its_study(ran):
    keys = [planned.key for planned in ran.planner().plan(ran.graph(loud=True)).stages]
    ran.home.landings.mkdir()
    path = ran.home.landings / "toy.json"
    for content in ("", "[]", '{"study": 7}', json.dumps({"k": keys})[:200]):
        path.write_text(content)
        found = collect(ran, "--yes")
        assert found["records"] == 0 and any(str(path) in line for line in found["kept"])
    path.unlink()
    assert collect(ran)["records"] == 7


def test_a_ledger_line_is_appended_whole_after_one_that_was_cut_off(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    good = {"study": "s", "stage": "a", "outcome": "succeeded", "key": "k"}
    ledger.append([good])
    with (tmp_path / "ledger.jsonl").open("ab") as file:
        file.write(b'{"study": "s", "sta')
    ledger.append([good])
    assert len(list(ledger.entries())) == 2 and "1 damaged lines are passed over (line 2)" in ledger.trouble()


def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path, monkeypatch):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    good = {"study": "s", "stage": "a", "outcome": "succeeded", "key": "k"}
    ledger.append([good])
    before = (tmp_path / "ledger.jsonl").read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, text: write(handle, text[:10]))
    with pytest.raises(OSError, match="No space left"):
        ledger.append([good])
    assert (tmp_path / "ledger.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    "line", ["[]", "7", '{"study": 1, "stage": "a", "outcome": "succeeded"}', "[" * 100_000, '{"stage": "a"}',
             '{"study": "s", "stage": "a", "outcome": ["x"]}', '{"study": "s", "stage": "a", "outcome": "succeeded", "seconds": "x"}'],
)  # fmt: skip
def test_a_line_of_a_wrong_form_is_named_and_passed_over(tmp_path, line):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    (tmp_path / "ledger.jsonl").write_text(line + "\n")
    assert list(ledger.entries()) == [] and ledger.last("s") == {} and ledger.median_seconds() == {}
    assert "line 1" in ledger.trouble()
