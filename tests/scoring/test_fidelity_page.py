"""Every test that docs/fidelity.md names is there, and every row of its tables names one and a size."""

import re

import pytest

PAGE_FILES = {"": "test_fidelity_figures.py", "files": "test_fidelity_files.py"}


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs" / "fidelity.md").read_text(encoding="utf-8")


def named_tests(line):
    """`file.py::test`, `::test` and `files::test`; a second `::test` after a file's name is of that file."""
    file = PAGE_FILES[""]
    for name in re.findall(r"`([^`]*test_[^`]*)`", line):
        before, _, test = name.rpartition("::") if "::" in name else (name, "", "")
        if before in PAGE_FILES:
            file = PAGE_FILES[before] if before or file == PAGE_FILES["files"] else file
        else:
            file = before
        yield file, test


def test_every_test_exists(page, repository):
    found = [test for line in page.splitlines() if line.startswith("| ") for test in named_tests(line)]
    assert len(found) > 40
    for file, test in found:
        (path,) = (repository / "tests").rglob(file.rpartition("/")[2])
        assert f"def {test}(" in path.read_text(encoding="utf-8"), f"{file}::{test}"


def test_every_row_has_a_size_and_a_test(page):
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith("| what |")]
    assert len(rows) > 25
    for row in rows:
        what, _, size, test = (cell.strip() for cell in row.strip("|").split(" | "))
        assert re.search(r"\d", size), what
        assert "test_" in test, what
