"""Bad files and a full disk: one or two lines, a non-zero exit, nothing half-written, what is done stays done."""

import gzip
import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest

from xtreme_dag.engine.digests import list_files

pytestmark = pytest.mark.xdist_group("finished")


@contextmanager
def spoilt(path, content, name=None):
    """A context in which a file holds other bytes, or is replaced by one of another name that holds them."""
    before = path.read_bytes()
    path.unlink()
    instead = path.with_name(name or path.name)
    instead.write_bytes(content)
    try:
        yield
    finally:
        instead.unlink()
        path.write_bytes(before)


def test_files_that_are_not_what_they_should_be(finished):
    """A label that is none, a row without a column, bytes that are no UTF-8, a truncated archive: each is named."""
    home = finished.copy_home("home-bad")
    folder = finished.folder / "release" / "xnli"
    english, russian, dev, packed = (
        (folder / name).read_bytes() for name in ("train-en.tsv", "test-ru.tsv", "dev-en.tsv", "test-de.tsv")
    )
    with (
        spoilt(folder / "train-en.tsv", english.replace(b"neutral", b"perhaps", 1)),
        spoilt(folder / "test-ru.tsv", russian.replace(b"\t", b" ", 1)),
        spoilt(folder / "dev-en.tsv", dev[:200] + b"\xff\xfe" + dev[200:]),
        spoilt(folder / "test-de.tsv", gzip.compress(packed)[:-20], "test-de.tsv.gz"),
    ):
        done = finished.call("run", "smaller.yaml", "--workers", "1", home=home, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "Traceback" not in said
    failed = [line for line in done.stdout.splitlines() if line.startswith("failed: ")]
    for stage, *words in (
        ("mnli | en | train", "train-en.tsv", "perhaps"),
        ("xnli | ru | test", "test-ru.tsv"),
        ("xnli | en | dev", "UTF-8"),
        ("xnli | de | test", "test-de.tsv.gz"),
    ):
        assert any(f"prepare[{stage}]" in line and all(word in line for word in words) for line in failed), said
    assert len(failed) == 4
    assert not list((finished.folder / home / "work").glob("*/out/*"))
    assert not [name for name in list_files(finished.folder / home / "store") if name.endswith(".tmp")]
    # What was done before, with the files as they are again, is still there.
    assert set(finished.plan(home=home)["summary"]) == {"cached"}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk(finished):
    """While tables are prepared and tokenised: what trains and evaluates them has its results already."""
    disk = finished.folder / "home-full"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(disk)], check=True)
    try:
        finished.home_of("home-full", {"check", "audit", "pretrain", "intermediate", "target", "evaluate"})
        (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - 260_000))
        done = finished.call("run", "smaller.yaml", "--workers", "1", home="home-full", check=False)
        assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
        said = (done.stdout + done.stderr).replace("\n", " ")
        assert "no space left on the disk" in said, said
        kept = finished.folder / "home-kept"
        shutil.copytree(disk, kept, ignore=shutil.ignore_patterns("work", "logs", "filler"))
        (kept / "work").mkdir()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
    # What was done before the disk was full is whole, and the rest runs where there is room.
    assert finished.call("verify", home="home-kept").returncode == 0
    assert finished.run(home="home-kept", study="smaller.yaml")["stages"]["failed"] == 0
    assert finished.digests("home-kept", "smaller.yaml").items() <= finished.digests().items()
