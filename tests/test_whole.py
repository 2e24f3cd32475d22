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
    monkeypatch.setattr(whole, "PROCESSES_BYTES", 0)
    monkeypatch.setattr(whole, "OPTIONS", ("-n", "0", "-c", str(tmp_path / "none.ini"), "--rootdir", str(tmp_path)))
    (tmp_path / "none.ini").write_text("[pytest]\n")
    assert whole.main([str(test)], memory) == (0 if passes else 1)
    assert seen.read_text().startswith(str(memory)) == room
    left = [str(folder) for folder in memory.iterdir()]
    assert len(left) == (0 if passes else 1)
    said = capfd.readouterr().err
    assert passes or left[0] in said


def test_a_folder_that_is_not_there_has_no_room(tmp_path):
    assert not whole.plentiful(tmp_path / "none")
