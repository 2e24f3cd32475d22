"""Bad files and a full disk: one or two lines, a non-zero exit, nothing half-written, what is done stays done."""

import os
import shutil
import subprocess

import pytest

from tests.e2e.conftest import STUDY, Checkout
from xtreme_dag.engine.digests import list_files

pytestmark = pytest.mark.xdist_group("prefect")


@pytest.fixture(scope="module")
def checkout(finished, prefect_api, tmp_path_factory):
    made = Checkout(tmp_path_factory.mktemp("bad") / "checkout", finished.folder, prefect_api)
    made.write_study({**STUDY, "targets": ["xnli"], "intermediate": {"none": None}, "compare": {"baseline": "none"}})
    assert made.run()["stages"]["failed"] == 0
    return made


def failing(checkout, home, *words):
    """Runs in a copy of the finished home: it must fail in a line and leave nothing half-written."""
    done = checkout.call("run", "study.yaml", home=home, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    for word in words:
        assert word in said.replace("\n", " "), said
    assert not list((checkout.folder / home / "work").glob("*/out/*"))
    assert not [name for name in list_files(checkout.folder / home / "store") if name.endswith(".tmp")]


@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        ("label", lambda text: text.replace("neutral", "perhaps", 1).encode(), ["xnli", "perhaps"]),
        ("ragged", lambda text: text.replace("\t", " ", 1).encode(), ["xnli", "train-en.tsv"]),
        ("utf8", lambda text: text[:200].encode() + b"\xff\xfe" + text[200:].encode(), ["xnli", "UTF-8"]),
    ],
)
def test_a_file_that_is_not_what_it_should_be(checkout, name, spoil, words):
    path = checkout.folder / "release" / "xnli" / "train-en.tsv"
    text = path.read_text()
    path.write_bytes(spoil(text))
    try:
        failing(checkout, checkout.copy_home(f"home-{name}"), *words)
    finally:
        path.write_text(text)
    # Evaluations of other tables, done before, are still there.
    assert set(checkout.plan()["summary"]) == {"cached"}


def test_a_truncated_archive(checkout):
    folder = checkout.folder / "release" / "xnli"
    subprocess.run(["gzip", "-k", str(folder / "test-de.tsv")], check=True)
    packed, plain = folder / "test-de.tsv.gz", folder / "test-de.tsv"
    text = plain.read_text()
    packed.write_bytes(packed.read_bytes()[:-20])
    plain.unlink()
    try:
        failing(checkout, checkout.copy_home("home-gzip"), "xnli", "de", "test-de.tsv.gz")
    finally:
        packed.unlink()
        plain.write_text(text)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk(checkout, tmp_path):
    disk = checkout.folder / "home-full"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(disk)], check=True)
    try:
        done = checkout.call("run", "study.yaml", home="home-full", check=False)
        assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
        said = (done.stdout + done.stderr).replace("\n", " ")
        assert "no space left on the disk" in said, said
        kept = checkout.folder / "home-kept"
        shutil.copytree(disk, kept, ignore=shutil.ignore_patterns("work", "logs"))
        (kept / "work").mkdir()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
    # What was done before the disk was full is whole, and the rest runs where there is room.
    assert checkout.call("verify", home="home-kept").returncode == 0
    assert checkout.run(home="home-kept")["stages"]["failed"] == 0
    assert checkout.digests("home-kept") == checkout.digests()
