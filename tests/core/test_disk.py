"""A full disk is told from defects, whoever met it."""

import errno
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from xtreme_dag.core.disk import full_disk, is_full, told_of
from xtreme_dag.core.files import write_atomically

SAID = 'TransactionContext Error: Failed to commit: Could not write file "x.wal": No space left on device'


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "whatever"), True),
        (OSError(errno.EDQUOT, "whatever"), True),
        (duckdb.TransactionException(SAID), True),
        (RuntimeError("[enforce fail] fwrite: No space left on device"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (ValueError("no room"), False),
    ],
)
def test_errors_of_a_full_disk(error, full):
    assert is_full(error) is full


def test_a_folder_in_a_files_place_is_named(tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError) as error:
        write_atomically(tmp_path / "report.html", "text")
    assert str(told_of(error.value)) == f"{tmp_path}/report.html: cannot be read or written (Is a directory)"
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]  # nothing is left beside it
    assert told_of(ValueError("a defect")) is None


def test_it_says_what_to_do():
    assert str(full_disk("/home")) == "/home: no space left on the disk\n  free some, or move the home with --home DIR"


def test_a_command_that_cannot_write_says_so_without_calling_it_a_defect():
    with Path("/dev/full").open("w") as full:  # a disk that is always full
        done = subprocess.run(
            [sys.executable, "-m", "xtreme_dag", "studies"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "no space left on the disk\n  free some, or move the home with --home DIR\n"
