"""What harms a study that runs or has run: damage, a violated contract, kills, an interruption, another process."""

import json
import re
import signal
import subprocess
from collections import Counter
from types import SimpleNamespace

import psutil
import pytest

from tests.e2e.test_study import by_status, kinds
from tests.servers import until
from tests.workers import workers_of
from xtreme_dag.engine.store import Store

pytestmark = pytest.mark.xdist_group("finished")

ENCODED = "encode[xnli | ru | test]"


def flip(path):
    """Changes a bit in the middle of a file, and not its size."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture(scope="module")
def mended(finished):
    """A home in which a tokenised table was damaged and found by `verify`, and then a model that a forced stage read."""
    home, target, table = finished.copy_home("home-damaged"), "target[xnli | none | seed 1]", ENCODED
    digests = finished.digests(home)
    flip(finished.artifact(digests[table], home) / "sequences.arrow")
    seen = [finished.plan(home=home), finished.call("verify", home=home, check=False), finished.plan(home=home)]
    inputs = json.loads(finished.call("why", "study.yaml", target, "--json", home=home).stdout)[0]["inputs"]
    maker = inputs["model"].partition(" (")[0]
    artifact = finished.artifact(digests[maker], home)
    victim = max((path for path in artifact.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    flip(victim)
    seen.append(finished.plan(home=home))
    done = finished.call("run", "smaller.yaml", "--workers", "1", "--force", target, home=home)
    # Lines are folded.
    told = f"{maker}: damaged ({victim.relative_to(artifact)}), set aside as", f"before {target}"
    return SimpleNamespace(home=home, seen=seen, said=" ".join(done.stderr.split()), out=done.stdout, told=told)


def test_damage_is_found_and_what_is_damaged_is_made_again(finished, mended):
    unseen, verified, named, unread = mended.seen
    assert set(unseen["summary"]) == {"cached"}  # same size: only a hash can tell
    assert verified.returncode == 1 and ENCODED in verified.stdout
    assert by_status(named)["stale"] == by_status(unread)["stale"] == {ENCODED: ["damaged"]}
    assert all(part in mended.said for part in mended.told)
    # The table, and the target that was forced; the model, that had been cached, was made for it.
    assert re.search(r"stages: 2 succeeded, \d+ cached, 0 failed, 0 not run", mended.out), mended.out
    assert finished.digests(mended.home) == finished.digests()
    assert json.loads(finished.call("verify", "--json", home=mended.home).stdout)["damaged"] == []


def test_why_status_accept_gc_audit(finished, mended):
    home = mended.home
    asked = (("why", "study.yaml", ENCODED, "--json"), ("status", "tiny"))
    why, status = finished.calls(*asked, home=home)
    (why,) = json.loads(why.stdout)
    assert why["status"] == "cached" and "xtreme_dag.heads.encoding.encode" in why["code"]
    assert "stages" in status.stdout
    with finished.edited("xtreme_dag/training/target.py", "TARGET_HEAD_STD = 0.02", "TARGET_HEAD_STD = 0.020"):
        assert set(finished.plan(home=home)["summary"]) == {"cached"}
    plan, accept = ("plan", "study.yaml", "--json"), ("accept", "study.yaml", "target", "--why", "the same number")
    with finished.edited("xtreme_dag/training/target.py", "TARGET_HEAD_STD = 0.02", "TARGET_HEAD_STD = 2e-2 + 0"):
        before, accepted, after, again = finished.calls(plan, accept, plan, accept, home=home)
    assert "stale" in json.loads(before.stdout)["summary"] and accepted.returncode == 0
    assert set(json.loads(after.stdout)["summary"]) == {"cached"}
    assert again.returncode == 1 and "nothing to accept" in again.stderr
    swept = (("gc", "--dry-run", "--json"), ("gc", "--yes", "--older-than", "0"), ("audit", "--json"))
    dry, gc, audit = finished.calls(*swept, home=home)
    assert dry.returncode == gc.returncode == audit.returncode == 0
    assert json.loads(dry.stdout)["removed"] is False and json.loads(audit.stdout)["tainted"] == []
    with finished.edited("xtreme_dag/training/target.py", "TARGET_HEAD_STD = 0.02", "TARGET_HEAD_STD = 2e-2 + 0"):
        assert set(finished.plan(home=home)["summary"]) == {"cached"}


def test_damaged_ledger_caches_and_landing_are_named_in_a_line_and_nothing_is_lost(finished):
    home = finished.copy_home("home-torn")
    root = finished.folder / home
    with (root / "ledger.jsonl").open("ab") as file:
        file.write(b'{"time": "2026-')
    # What reads them is the same for each command.
    why, status, gc = ("why", "study.yaml", "target"), ("status", "tiny"), ("gc",)
    for content, command in {"[]": why, "7": status, '{"x": [1, 2]': gc, '{"x": 1, "digests": []}': why}.items():
        for name in ("digests.json", "reads.json"):
            (root / "cache" / name).write_text(content)
        (root / "landings" / "tiny.json").write_text(content)
        for done in finished.calls(("plan", "study.yaml"), command, home=home):
            assert done.returncode == 0 and "1 damaged lines are passed over" in done.stderr, done
            assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) <= 7
            if not content.endswith("[]}"):
                assert "digests.json is damaged: what it held is computed again" in done.stderr
    assert set(finished.plan(home=home)["summary"]) == {"cached"}


def test_a_violated_contract_stops_what_depends_on_the_table_only(finished):
    home = finished.copy_home("home-violated")
    path = finished.folder / "release" / "xnli" / "test-labels.txt"
    before = path.read_text()
    path.write_text("entailment\n" * len(before.splitlines()))
    try:
        done = finished.call("run", "smaller.yaml", "--workers", "1", home=home, check=False)
    finally:
        path.write_text(before)
    assert done.returncode == 1
    assert re.search(r"failed: check\[xnli \| de \| test\]: .*contract violated", done.stdout)
    last = json.loads(finished.call("status", "tiny", "--json", home=home).stdout)
    outcomes = {entry["stage"]: entry["outcome"] for entry in last}
    assert {name for name, outcome in outcomes.items() if outcome == "failed"} == {
        f"check[xnli | {code} | test]" for code in ("en", "de", "ru")
    }
    stopped = {name for name, outcome in outcomes.items() if outcome == "not run"}
    assert kinds(stopped) == {"encode", "evaluate"} and all("xnli" in name for name in stopped)


@pytest.fixture(scope="module")
def stopped(finished):
    """A home whose run was killed at four moments (`make drills` has 200) and interrupted; what the interruption left."""
    home = finished.home_of("home-stopped", {"check", "audit"})
    ledger = finished.folder / home / "ledger.jsonl"

    def succeeded(kind):
        lines = ledger.read_text().splitlines() if ledger.is_file() else ()
        return any(f'"{kind}"' in line and '"succeeded"' in line for line in lines)

    def started(moment, *more):
        """A run that has come to a moment."""
        process = psutil.Popen(
            finished.command("run", "smaller.yaml", *more, home=home),
            cwd=finished.folder,
            env=finished.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            # Tests that were started in the background of a script ignore interruptions, and so would what they start.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        until(lambda: process.poll() is not None or moment(process), 300)
        assert process.poll() is None, process.stderr.read()
        return process

    def killed(moment, *more):
        with started(moment, *more) as process:
            process.kill()

    killed(lambda process: True)  # while it starts
    killed(lambda process: (finished.folder / home / "work").is_dir())  # that is made before it plans
    process = started(lambda process: succeeded("prepare"))
    family = process.children(recursive=True)
    # To this process alone, as a supervisor sends it; a terminal would reach the same one.
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    left = psutil.wait_procs(family, timeout=30)[1]
    plan = finished.plan(home=home, study="smaller.yaml")
    killed(workers_of, "--workers", "1")  # while it pretrains
    killed(lambda process: succeeded("pretrain"), "--workers", "1")  # while it trains
    return SimpleNamespace(home=home, code=process.returncode, said=said, family=family, left=left, plan=plan)


def test_an_interrupted_run_ends_with_its_workers_and_blames_no_stage(stopped):
    assert stopped.code == 130 and stopped.said.rstrip().endswith("stopped") and "Traceback" not in stopped.said
    assert len(stopped.family) > 1 and not stopped.left
    found = by_status(stopped.plan)
    assert "failed" not in found and found["new"]
    assert [name for name in found["cached"] if name.startswith("prepare")]


@pytest.mark.slow
def test_two_processes_end_what_was_killed_run_each_stage_once_and_make_the_same_artifacts(finished, stopped):
    made = {record.key for record in Store(finished.folder / stopped.home / "store").records()}
    processes = [
        subprocess.Popen(
            finished.command("run", "smaller.yaml", "--json", "--workers", "1", home=stopped.home),
            cwd=finished.folder,
            env=finished.environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outcomes = [json.loads(process.communicate(timeout=600)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    ledger = (finished.folder / stopped.home / "ledger.jsonl").read_text().splitlines()
    ran = Counter(entry["stage"] for entry in map(json.loads, ledger) if entry["outcome"] == "succeeded")
    assert set(ran.values()) == {1}
    stages = finished.plan(home=stopped.home, study="smaller.yaml")["stages"]
    # Tables with the same content share the key of their encoding, so there are fewer keys than names. What was there
    # may have been out of any plan's sight: the checks are, until the table that they read is made again.
    new = {stage["key"] for stage in stages} - made
    assert sum(outcome["stages"]["succeeded"] for outcome in outcomes) == len(new) > 4
    assert all(sum(outcome["stages"].values()) == len(stages) for outcome in outcomes)
    assert finished.digests(stopped.home, "smaller.yaml").items() <= finished.digests().items()
    query = "SELECT count(*) AS n FROM scores"
    rows = json.loads(finished.call("sql", query, "--format", "json", home=stopped.home).stdout)
    assert rows[0]["n"] > 0
