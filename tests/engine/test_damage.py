"""Damaged bytes never become science: they are found when they are read, made again, and what read them runs again."""

import json
import os
import threading
import time
from collections import Counter

import pytest
from click.testing import CliRunner

from tests.engine.conftest import ENCODE, TARGET
from xtreme_dag.engine import digests
from xtreme_dag.engine.graph import Graph, Output, Stage
from xtreme_dag.engine.local import run_local
from xtreme_dag.engine.records import record_text
from xtreme_dag.engine.store import Store
from xtreme_dag.program.commands.verify import command as verify


def record_of(toy, name, graph=None):
    return toy.planner().store.read(toy.planner().plan(graph or toy.graph()).by_name[name].key)


def file_of(toy, name, graph=None):
    store = Store(toy.home.store)
    record = record_of(toy, name, graph)
    return store.artifact(record.digest) / next(iter(record.files))


def forget(toy, name):
    """Removes a record, so that its stage runs again."""
    Store(toy.home.store).record_path(record_of(toy, name).key).unlink()


def flip(path, *, keep_times=False):
    """Changes one byte, and neither the size nor (if asked) the times that `utime` can set."""
    state = path.stat()
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    if keep_times:
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def without_reads(toy, **other):
    """Makes records look like those of versions that did not note what they read; `other` replaces fields of inputs."""
    for path in (toy.home.store / "records").glob("*/*.json"):
        state = path.stat()
        manifest = json.loads(path.read_text())
        for entry in manifest["inputs"].values():
            entry.pop("read", None)
            entry |= other
        path.write_text(record_text(manifest))
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def check(toy, code):
    done = CliRunner().invoke(verify, ["--home", str(toy.home.root), "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("keep_times", [False, True])
def test_a_flipped_byte_is_found_at_the_read_and_its_reader_runs_after_it(toy, pool, keep_times):
    run_local(toy.graph(), executor := toy.executor(pool))
    executor.save()
    clean = record_of(toy, "target[all]").digest
    forget(toy, "target[all]")
    flip(file_of(toy, "encode[b]"), keep_times=keep_times)
    said = []
    outcomes = run_local(toy.graph(), toy.executor(pool), listen=said.append)
    assert outcomes["target[all]"] == "succeeded" and record_of(toy, "target[all]").digest == clean
    warning = next(text for each in said if (text := each.get("message", "")).startswith("warning: encode[b]: damaged"))
    assert "text.txt" in warning and "set aside" in warning and "before target[all]" in warning
    assert toy.executed().count("b") == 2 and len(list((toy.home.store / "damaged").glob("*.txt"))) == 1
    assert all("read" in entry for entry in record_of(toy, "target[all]").manifest["inputs"].values())
    assert toy.planner().plan(toy.graph()).all_cached


def test_what_was_hashed_is_remembered_by_the_next_process(toy, pool, monkeypatch):
    run_local(toy.graph(), executor := toy.executor(pool))
    executor.save()
    forget(toy, "target[all]")
    hashed = []
    monkeypatch.setattr(digests, "file_digest", lambda path: hashed.append(path) or "")
    assert run_local(toy.graph(), toy.executor(pool))["target[all]"] == "succeeded"
    assert [path for path in hashed if toy.home.store in path.parents] == []


def test_readers_at_once_have_one_artifact_made_again_once(toy, pool):
    graph = Graph()
    for stage in toy.graph():
        if stage.kind == "prepare":
            graph.add(stage)
    for number in range(4):
        params = {"log": str(toy.log), "name": f"r{number}"}
        inputs = {"table": Output(stage="prepare[a]")}
        graph.add(Stage(of=ENCODE, name=f"r[{number}]", function="toy.functions:join", params=params, inputs=inputs))
    run_local(toy.graph().part({"prepare[a]", "prepare[b]", "prepare[c]"}), toy.executor(pool))
    flip(file_of(toy, "prepare[a]"))
    outcomes = run_local(graph, toy.executor(pool), side_by_side=4)
    assert Counter(outcomes.values()) == {"cached": 3, "succeeded": 4}
    assert len(list((toy.home.store / "damaged").glob("*.txt"))) == 1
    assert {record_of(toy, f"r[{number}]", graph).digest for number in range(4)} == {
        record_of(toy, "r[0]", graph).digest
    }


def test_a_file_that_no_stage_wrote_is_damage(toy, pool):
    run_local(toy.graph(), toy.executor(pool))
    file_of(toy, "encode[a]").with_name("more.txt").write_text("x")
    file_of(toy, "encode[b]").with_name(".hidden").write_text("x")
    forget(toy, "target[all]")
    said = []
    assert run_local(toy.graph(), toy.executor(pool), listen=said.append)["target[all]"] == "succeeded"
    assert [text.split(" (")[1].split(")")[0] for each in said if "damaged" in (text := each.get("message", ""))] == [
        "more.txt"
    ]


def test_damage_under_a_running_stage_is_found_before_its_artifact_counts(toy, pool):
    graph = toy.graph(sleep=1.0)
    run_local(graph.part({"prepare[a]", "prepare[b]", "prepare[c]"}), toy.executor(pool))
    victim = file_of(toy, "prepare[a]")
    timer = threading.Timer(0.6, lambda: flip(victim))
    timer.start()
    said = []
    executor = toy.executor(pool)
    outcomes = run_local(graph.part({"encode[a]"}), executor, listen=said.append)
    assert outcomes == {"prepare[a]": "cached", "encode[a]": "succeeded"}
    assert any("prepare[a]: damaged" in each.get("message", "") for each in said) and toy.executed() == ["a", "a"]


def test_a_raw_file_that_changes_while_its_stage_waits_is_an_error(toy, pool):
    executor = toy.executor(pool)
    stage = toy.graph()["prepare[a]"]
    key = executor.key(stage, {})
    digests = executor.inputs.digests(stage, {})
    toy.raw["a"].write_text("other")
    with pytest.raises(Exception, match="changed while the study ran"):
        executor._run(stage, key, digests, {}, lambda event: None, 0.0)


def test_a_damaged_verdict_is_not_believed(toy, pool):
    run_local(toy.graph(gate=True), toy.executor(pool))
    verdict = file_of(toy, "check[a]", toy.graph(gate=True))
    for content in ('{"ok": trUe, "why": ""}\n', "[]", '{"ok": 1}'):
        verdict.write_text(content)
        outcomes = run_local(toy.graph(gate=True), toy.executor(pool))
        # The three verdicts are equal, so one artifact: whoever looks first makes it again.
        assert "succeeded" in {outcomes[f"check[{name}]"] for name in "abc"} and outcomes["encode[a]"] == "cached"
        assert json.loads(verdict.read_text())["ok"] is True


def test_verify_clears_readers_that_hashed_what_they_read(toy, pool):
    run_local(toy.graph(), toy.executor(pool))
    flip(file_of(toy, "prepare[a]"), keep_times=True)
    found = check(toy, 1)["damaged"][0]
    assert found["stage"] == "prepare[a]" and found["suspects"] == [] and found["after"] == []
    outcomes = run_local(toy.graph(), toy.executor(pool))
    assert {name for name, outcome in outcomes.items() if outcome == "succeeded"} == {"prepare[a]"}


@pytest.mark.parametrize("same", [True, False])
def test_verify_marks_readers_of_damage_that_is_older_than_what_they_noted(toy, pool, same):
    """The damage was planted before records said what was read: the reader is suspect and runs again."""
    run_local(toy.graph(), toy.executor(pool))
    clean = record_of(toy, "target[all]").digest
    store, victim = Store(toy.home.store), file_of(toy, "prepare[a]")
    if not same:  # what the reader made of the damaged bytes
        target = file_of(toy, "encode[a]")
        wrong = store.root.parent / "wrong"
        wrong.mkdir()
        (wrong / "text.txt").write_text("`.")
        record = record_of(toy, "encode[a]")
        manifest = {k: v for k, v in record.manifest.items() if k not in ("files", "digest")}
        store.commit(record.key, wrong, manifest)
        assert target.is_file()
        run_local(toy.graph(), toy.executor(pool))
        assert record_of(toy, "target[all]").digest != clean
    without_reads(toy)
    flip(victim, keep_times=True)
    found = check(toy, 1)["damaged"][0]
    assert found["suspects"] == ["encode[a]"] and found["after"][0] == "target[all]"
    plan = toy.planner().plan(toy.graph()).by_name
    assert plan["encode[a]"].status == "waiting" or "damaged" in plan["encode[a]"].reasons[0]
    ran = Counter(toy.executed())
    outcomes = run_local(toy.graph(), toy.executor(pool))
    assert outcomes["prepare[a]"] == outcomes["encode[a]"] == "succeeded"
    assert Counter(toy.executed())["a"] == ran["a"] + 1
    assert record_of(toy, "target[all]").digest == clean and toy.planner().plan(toy.graph()).all_cached
    assert check(toy, 0)["damaged"] == []


def test_readers_by_another_key_of_the_same_artifact_are_found(toy, pool):
    """Two keys have the same bytes, and the record of the one that the reader names was removed as garbage since."""
    run_local(toy.graph(loud=True), toy.executor(pool))
    old = record_of(toy, "prepare[a]", toy.graph(loud=True))
    for path in toy.raw.values():
        path.write_text(path.read_text().upper())
    assert Counter(run_local(toy.graph(), toy.executor(pool)).values()) == {"succeeded": 3, "cached": 4}
    assert record_of(toy, "prepare[a]").digest == old.digest
    Store(toy.home.store).record_path(old.key).unlink()
    without_reads(toy)
    flip(file_of(toy, "prepare[a]"), keep_times=True)
    found = check(toy, 1)["damaged"][0]
    assert found["suspects"] == ["encode[a]"] and found["after"] == ["target[all]"]


def test_what_depends_on_a_suspect_is_known_by_digest(toy, pool):
    run_local(toy.graph(), toy.executor(pool))
    without_reads(toy, key="f" * 64)
    flip(file_of(toy, "prepare[a]"), keep_times=True)
    found = check(toy, 1)["damaged"][0]
    assert found["suspects"] == ["encode[a]"] and found["after"] == ["target[all]"]


def test_a_reader_of_another_part_is_no_suspect(toy, pool):
    toy.edit("def judge(", 'def more(params, inputs, context):\n    (context.out / "x").write_text("x")\n    (context.out / "y").write_text("y")\n\ndef judge(', "functions.py")  # fmt: skip
    toy.edit("def judge(", 'def copy(params, inputs, context):\n    (context.out / "n").write_text(inputs["n"].read_text())\n\ndef judge(', "functions.py")  # fmt: skip
    graph = Graph()
    graph.add(Stage(of=ENCODE, name="both", function="toy.functions:more"))
    for part in "xy":
        made = {"n": Output(stage="both", part=part)}
        graph.add(Stage(of=TARGET, name=f"of {part}", function="toy.functions:copy", inputs=made))
    run_local(graph, toy.executor(pool))
    without_reads(toy, key="f" * 64)
    flip(Store(toy.home.store).artifact(record_of(toy, "both", graph).digest) / "x", keep_times=True)
    found = check(toy, 1)["damaged"][0]
    assert found["suspects"] == ["of x"] and found["after"] == []


def test_readers_from_before_the_damage_are_no_suspects(toy, pool):
    run_local(toy.graph(), toy.executor(pool))
    without_reads(toy)
    time.sleep(0.05)
    flip(file_of(toy, "prepare[a]"))
    assert check(toy, 1)["damaged"][0]["suspects"] == []


def test_verify_counts_unreadable_records_as_damage(toy, pool):
    run_local(toy.graph(), toy.executor(pool))
    store = Store(toy.home.store)
    record = record_of(toy, "encode[b]")
    store.record_path(record.key).write_text('{"digest": 7')
    found = check(toy, 1)
    assert len(found["unreadable"]) == 1 and record.key in found["unreadable"][0]["record"]
    outcomes = run_local(toy.graph(), toy.executor(pool))
    assert Counter(outcomes.values()) == {"cached": 6, "succeeded": 1}
    assert check(toy, 0)["unreadable"] == []


WRONG = {"list": [], "null": None, "number": 7, "text": "x", "no digest": {"files": {}}}
PATHS = {"digest": {"digest": "../../.."}, "code": {"code": "../../.."}, "files": {"files": {"../x": ["0" * 64, 1]}}}


@pytest.mark.parametrize("shape", [*WRONG, *PATHS])
def test_a_record_of_a_wrong_form_is_no_record(toy, pool, shape):
    run_local(toy.graph(), toy.executor(pool))
    record = record_of(toy, "encode[b]")
    path = Store(toy.home.store).record_path(record.key)
    path.write_text(json.dumps(WRONG[shape]) if shape in WRONG else record_text({**record.manifest, **PATHS[shape]}))
    assert toy.planner().plan(toy.graph()).by_name["encode[b]"].status == "stale"
    assert run_local(toy.graph(), toy.executor(pool))["encode[b]"] == "succeeded"


def test_every_field_of_a_record_is_covered_by_a_digest(toy, pool):
    """Seconds, host, figures: no key and no digest of an artifact depends on them, yet they are shown."""
    run_local(toy.graph(), toy.executor(pool))
    store = Store(toy.home.store)
    record = record_of(toy, "encode[b]")
    path = store.record_path(record.key)
    content = path.read_bytes()
    for field, value in record.manifest.items():
        other = f"{value}x" if isinstance(value, str) else [value] if isinstance(value, dict) else value + 1
        told = {**json.loads(content), field: other}
        path.write_text(json.dumps(told))
        assert store.read(record.key) is None, field
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        read = store.read(record.key)
        assert read is None or read == record, place  # a blank between two fields says nothing
    path.write_bytes(content)
    assert store.read(record.key) == record and "manifest_digest" not in record.manifest


def test_a_stage_of_a_damaged_part_alone_is_made_again_for_whoever_reads_that_part(toy, pool):
    graph = toy.graph()
    params = {"log": str(toy.log), "name": "part"}
    part = Stage(of=TARGET, name="target[part]", function="toy.functions:count", params=params,
                 inputs={"text": Output(stage="encode[a]", part="text.txt")})  # fmt: skip
    toy.edit("def die(", 'def count(params, inputs, context):\n    (context.out / "n").write_text(inputs["text"].read_text())\n\ndef die(', "functions.py")  # fmt: skip
    run_local(graph, toy.executor(pool))
    graph.add(part)
    flip(file_of(toy, "encode[a]"))
    assert run_local(graph, toy.executor(pool))["target[part]"] == "succeeded"
    assert (Store(toy.home.store).artifact(record_of(toy, "target[part]", graph).digest) / "n").read_text() == "a."


def test_a_stage_that_writes_no_file_fails_and_says_so(toy, pool):
    graph = Graph()
    toy.edit(
        "def die(",
        "def idle(params, inputs, context):\n    (context.out / 'folder').mkdir()\n\ndef die(",
        "functions.py",
    )
    stage = graph.add(Stage(of=ENCODE, name="idle", function="toy.functions:idle"))
    executor = toy.executor(pool)
    assert run_local(graph, executor) == {"idle": "failed"}
    assert executor.failure(stage) == "wrote no file (write its artifact into context.out)"
    assert not list((toy.home.store / "records").glob("*/*")) and not list((toy.home.store / "objects").glob("*/*"))
