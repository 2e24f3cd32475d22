"""`make quick` chooses the tests that are near a change."""

import subprocess
import sys
from pathlib import Path

from tests.quick import ALWAYS, chosen


def test_the_namesake_comes_first_then_whoever_names_the_module():
    tests = chosen(["xtreme_dag/program/commands/compare.py"])
    assert tests[:2] == [ALWAYS, "tests/program/commands/test_compare.py"]
    tests = chosen(["xtreme_dag/wiring/forecast/costs.py"])
    assert tests.index("tests/wiring/test_plans.py") < tests.index("tests/wiring/test_samplers.py")


def test_changed_tests_are_among_them():
    assert chosen(["tests/core/test_yaml.py"]) == [ALWAYS, "tests/core/test_yaml.py"]


def test_files_that_are_no_modules():
    assert "tests/report/test_html.py" in chosen(["xtreme_dag/report/templates/transfer.html"])
    assert "tests/contracts/test_howto.py" in chosen(["docs/howto-add-a-dataset.md"])
    every = len(list((Path(__file__).parent).rglob("test_*.py")))
    assert len(chosen(["README.md"])) < every / 20 and chosen([]) == [ALWAYS]


def test_what_has_not_begun_in_time_is_left_out(repository):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.quick", "-q", "-rs", "tests/core/test_yaml.py"],
        cwd=repository, env={"XTREME_DAG_QUICK_SECONDS": "0"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and "no time left in a quick run" in done.stdout and "passed" not in done.stdout
