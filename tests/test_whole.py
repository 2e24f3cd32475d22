"""`make test` keeps temporary files in memory where there is room, and removes them."""

import pytest

from tests import whole

TEST = """
from pathlib import Path

def test_it(tmp_path):
    Path({seen!r}).write_text(str(tmp_path))
    assert {passes}
"""


@pytest.mark.parametrize(("passes", "room"), [(True, True), (False, True), (True, False)])
def test_where_temporary_files_are_and_what_is_left_of_them(tmp_path, monkeypatch, capfd, passes, room):
    memory, seen, test = tmp_path / "memory", tmp_path / "seen", tmp_path / "test_one.py"
    memory.mkdir()
    test.write_text(TEST.format(seen=str(seen), passes=passes))
    monkeypatch.delenv("PYTEST_DEBUG_TEMPROOT", raising=False)
    monkeypatch.setattr(whole, "FILES_BYTES", 1 if room else 2**60)
    monkeypatch.setattr(whole, "PROCESS_BYTES", 1)
    monkeypatch.setattr(whole, "OPTIONS", ("-c", str(tmp_path / "none.ini"), "--rootdir", str(tmp_path)))
    (tmp_path / "none.ini").write_text("[pytest]\n")
    assert whole.main(["-n", "0", str(test)], memory) == (0 if passes else 1)
    assert seen.read_text().startswith(str(memory)) == room
    left = [str(folder) for folder in memory.iterdir()]
    assert len(left) == (0 if passes else 1)
    said = capfd.readouterr().err
    assert passes or left[0] in said


def test_a_folder_that_is_not_there_has_no_room(tmp_path):
    assert not whole.plentiful(tmp_path / "none", 2)


def test_one_process_for_each_processor_that_it_may_use_and_memory_has_room_for(tmp_path, monkeypatch):
    (tmp_path / "cpu.max").write_text("max 100000\n")
    machine = whole.processors(tmp_path / "none")
    assert machine >= 1 and whole.processors(tmp_path / "cpu.max") == machine
    for share, allowed in ((50_000, 1), (100_000, 1), (10_000_000, machine)):
        (tmp_path / "cpu.max").write_text(f"{share} 100000\n")
        assert whole.processors(tmp_path / "cpu.max") == allowed
    monkeypatch.setattr(whole, "PROCESS_BYTES", 1)
    for count, chosen in ((1, 2), (2, 2), (3, 3), (64, whole.MOST)):
        monkeypatch.setattr(whole, "processors", lambda count=count: count)
        assert whole.processes() == chosen
    monkeypatch.setattr(whole, "PROCESS_BYTES", 2**60)
    assert whole.processes() == 2
