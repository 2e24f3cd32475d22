"""Several machines at one mirror: claims, checkpoints, packs, upkeep, and a mirror that is away for a while."""

import json
import os
import shutil
import threading
import time

import fsspec
import pytest

from tests.engine.test_mirror import other, s3, url  # noqa: F401  # fixtures
from xtreme_dag.engine import upkeep
from xtreme_dag.engine.checkpoints import Checkpoints
from xtreme_dag.engine.claims import Claims, local_claims, mirrored_claims, read_claim
from xtreme_dag.engine.local import run_local
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.remote import Remote
from xtreme_dag.engine.signatures import VARIABLE as SECRET
from xtreme_dag.engine.store import Store

KEY = "ab" * 32


@pytest.fixture
def mirror(tmp_path):
    return Mirror(str(tmp_path / "mirror"))


def claims(tmp_path, mirror, run, seconds=2.0):
    return Claims(tmp_path / run, mirror, study="s", run=run, seconds=seconds)


def never():
    return False


def test_a_claim_is_seen_waited_for_and_gone_when_its_stage_is_done(tmp_path, mirror):
    mine, theirs = claims(tmp_path, mirror, "mine"), claims(tmp_path, mirror, "theirs")
    told, ended = [], threading.Event()

    def work():
        with theirs.held(KEY, "target[x]", device="cpu", expected=60.0) as listen:
            listen({"event": "progress", "done": 1, "total": 4})
            ended.wait(30)

    thread = threading.Thread(target=work)
    thread.start()
    while not (seen := mirrored_claims(mirror)) or not local_claims(tmp_path / "theirs"):
        time.sleep(0.05)
    assert [(claim.stage, claim.run, claim.done) for claim in seen] == [("target[x]", "theirs", 0.25)]
    assert seen[0].left(seen[0].started + 10) == 30  # a quarter took ten seconds
    # Whoever gives out the stages of this run knows that the one before is gone.
    claims(tmp_path, mirror, "theirs").wait(KEY, told.append, never, never)
    assert not told
    threading.Timer(0.5, ended.set).start()
    mine.wait(KEY, told.append, never, never)
    thread.join()
    assert len(told) == 1 and told[0].endswith("which makes the same")
    assert not mirrored_claims(mirror) and not local_claims(tmp_path / "theirs")


def test_a_stale_claim_is_taken_over_and_so_is_one_of_a_clock_that_is_ahead(tmp_path, mirror):
    mine = claims(tmp_path, mirror, "mine", seconds=1.0)
    said = {"key": KEY, "stage": "x", "study": "s", "run": "dead", "host": "h", "pid": 1, "device": "cpu", "beat": 3}
    for ahead in (-1.0, 3600.0):  # nobody renews either
        claim = {**said, "started": time.time(), "expires": time.time() + ahead}
        mirror.files.write(f"claims/{KEY}.json", json.dumps(claim).encode())
        start = time.monotonic()
        mine.wait(KEY, lambda who: None, never, never)
        assert time.monotonic() - start < 5
    mirror.files.write(f"claims/{KEY}.json", json.dumps({**said, "started": 1.0, "expires": 9e11}).encode())
    mine.wait(KEY, lambda who: None, never, lambda: True)  # what it makes is there
    mine.wait(KEY, lambda who: None, lambda: True, never)  # the run was stopped


def test_a_claim_of_a_clock_that_is_behind_holds_for_as_long_as_it_is_renewed(tmp_path, mirror):
    said = {"key": KEY, "stage": "x", "study": "s", "run": "theirs", "host": "h", "pid": 1, "device": "cpu"}
    begun, ended = time.monotonic(), []

    def made():
        """Each look finds the claim renewed, and expired by our clock; after two seconds it is done."""
        now = time.time()
        claim = {**said, "beat": int(10 * now), "started": now - 90.0, "expires": now - 60.0}
        mirror.files.write(f"claims/{KEY}.json", json.dumps(claim).encode())
        ended.append(time.monotonic() - begun > 2.0)
        return ended[-1]

    made()
    claims(tmp_path, mirror, "mine", seconds=1.0).wait(KEY, lambda who: None, never, made)
    assert ended[-1], "it was taken for stale"
    # One that ended long ago is taken over without a wait.
    old = {**said, "beat": 1, "started": 1.0, "expires": time.time() - 3600.0}
    mirror.files.write(f"claims/{KEY}.json", json.dumps(old).encode())
    claims(tmp_path, mirror, "mine", seconds=60.0).wait(KEY, lambda who: pytest.fail(who), never, never)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"key": "../x"}', b"[" * 100_000, b'{"pid": NaN}'])
def test_a_claim_that_is_none_is_none(content):
    assert read_claim(content) is None


def test_another_machine_goes_on_from_a_checkpoint(tmp_path, mirror):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    sent = Checkpoints(mirror, KEY, theirs, "cuda:3")
    for step in (1, 2):
        folder = theirs / "checkpoints" / f"step-{step}"
        folder.mkdir(parents=True)
        (folder / "weights").write_text(f"weights {step}")
        sent.listen({"event": "checkpoint", "folder": f"checkpoints/step-{step}"})
    sent.listen({"event": "checkpoint", "folder": "../../etc"})
    sent.listen({"event": "progress", "done": 1, "total": 2})
    sent.close(forget=False)
    assert Checkpoints(mirror, KEY, ours, "cpu").bring() == "" and not ours.exists()  # it would end otherwise
    second = Checkpoints(mirror, KEY, ours, "cuda:0")
    assert second.bring() == "checkpoints/step-2"
    assert (ours / "checkpoints" / "step-2" / "weights").read_text() == "weights 2"
    assert second.bring() == ""  # it is here
    assert not any("step-1/" in name for name in mirror.files.listing("checkpoints"))
    # A place that is none, or where something else is.
    listed = tmp_path / "mirror" / "checkpoints" / f"{KEY}.json"
    good = listed.read_text()
    for number, folder in enumerate((".", "", "a/step-2", "/step-2", "../step-2")):
        listed.write_text(json.dumps({**json.loads(good), "folder": folder}))
        shutil.copytree(
            tmp_path / "mirror" / "checkpoints" / KEY / "checkpoints",
            tmp_path / "mirror" / "checkpoints" / KEY / "a",
            dirs_exist_ok=True,
        )
        scratch = tmp_path / f"other-{number}"
        scratch.mkdir()
        (scratch / "a").write_text("a file")
        assert Checkpoints(mirror, KEY, scratch, "cuda").bring() == "", folder
        assert [path.name for path in scratch.iterdir()] == ["a"]
    shutil.rmtree(tmp_path / "mirror" / "checkpoints" / KEY / "a")
    listed.write_text(good)
    # One that is damaged is none.
    (tmp_path / "mirror" / "checkpoints" / KEY / "checkpoints" / "step-2" / "weights").write_text("weights 3")
    assert Checkpoints(mirror, KEY, tmp_path / "third", "cuda").bring() == ""
    second.close(forget=True)
    assert not mirror.files.listing("checkpoints")


def test_packs_are_read_for_records_and_never_believed_when_one_has_changed(toy, pool, url, monkeypatch):  # noqa: F811
    monkeypatch.setattr("xtreme_dag.engine.mirror._MANY", 3)
    run_local(toy.graph(), toy.executor(pool))
    store = toy.planner().store
    records = list(store.records())
    mirror = Mirror(url)
    mirror.push_all(store, [record.key for record in records])
    assert mirror.pack() == len(records) and Mirror(url).pack() == 0
    asked = []
    mirror = Mirror(url)
    read = mirror.files.read
    monkeypatch.setattr(mirror.files, "read", lambda path, most: asked.append(path) or read(path, most))
    assert mirror.read_all([record.key for record in records]) == {record.key: record for record in records}
    assert not [path for path in asked if path.startswith("records/")]
    files, root = fsspec.core.url_to_fs(url, skip_instance_cache=True)
    changed = records[0].key
    path = f"{root}/records/{changed[:2]}/{changed}.json"
    files.pipe_file(path, files.cat_file(path).replace(b'"seconds"', b'"secondz"'))
    assert Mirror(url).read(changed) is None
    for name in Mirror(url).files.listing("packs"):
        files.pipe_file(f"{root}/packs/{name}", b"no pack")
    assert len(Mirror(url).read_all([record.key for record in records])) == len(records) - 1


def quiet(event):
    pass


def test_of_an_artifact_what_it_says_of_itself_can_be_brought_alone(toy, pool, url, other):  # noqa: F811
    run_local(toy.graph(gate=True), toy.executor(pool, mirror=Mirror(url)))
    planned, ran = toy.planner().plan(toy.graph(gate=True)).by_name, toy.executed()
    here, store = toy.executor(pool, home=other, mirror=Mirror(url)), Store(other.store)
    for name, each in planned.items():
        here.bring_notes(name, each.key, each.digest, quiet)
    encoded, checked = planned["encode[a]"], planned["check[a]"]
    assert store.standing(encoded.key) == toy.planner().store.read(encoded.key) and store.intact(encoded.key) is None
    assert store.intact(checked.key) is not None  # it is JSON in full
    assert not list(other.store.rglob("text.txt")) and not list(other.work.rglob("notes"))
    here.bring("encode[a]", encoded.key, encoded.digest, quiet)
    here.bring_notes("encode[a]", encoded.key, encoded.digest, quiet)
    assert store.intact(encoded.key) is not None and not store.is_dropped(store.read(encoded.key))
    # What needs the rest of the others has it brought, too.
    again = toy.executor(pool, home=other, mirror=Mirror(url), forced=frozenset({"target[all]"}))
    outcomes = run_local(toy.graph(gate=True), again)
    assert outcomes["target[all]"] == "succeeded" and list(outcomes.values()).count("succeeded") == 1
    assert len(toy.executed()) == len(ran) + 1 and store.intact(planned["encode[b]"].key) is not None


def test_of_two_machines_that_made_the_same_key_the_first_has_it(toy, pool, url, other):  # noqa: F811
    for home in (toy.home, other):
        run_local(toy.graph(), toy.executor(pool, home=home))
    planned = toy.planner().plan(toy.graph()).by_name["encode[a]"]
    out = other.root / "out"
    out.mkdir()
    (out / "text.txt").write_text("other bytes")
    theirs = Store(other.store)
    manifest = theirs.read(planned.key).manifest
    made = theirs.commit(
        planned.key, out, {name: manifest[name] for name in manifest if name not in ("files", "digest")}
    )
    first, second = (toy.executor(pool, home=home, mirror=Mirror(url, listing=False)) for home in (toy.home, other))
    first.deliver(planned.stage, planned.key, quiet)
    second.deliver(planned.stage, planned.key, quiet)
    assert theirs.intact(planned.key).digest == Mirror(url).read(planned.key).digest == planned.digest != made.digest
    first.deliver(planned.stage, planned.key, quiet, forced=True)  # the same bytes
    assert not first.mirror_trouble()


def test_what_another_machine_has_replaced_is_believed_again(toy, pool, url):  # noqa: F811
    run_local(toy.graph(), toy.executor(pool, mirror=Mirror(url)))
    key = toy.planner().plan(toy.graph()).by_name["encode[a]"].key
    mirror, record = Mirror(url), Store(toy.home.store).read(key)
    content = mirror.files.read(f"records/{key[:2]}/{key}.json", 1 << 20)
    mirror.files.write(f"records/{key[:2]}/{key}.json", b"{}")
    assert mirror.look(key) is None
    mirror.files.write(f"records/{key[:2]}/{key}.json", content)
    assert mirror.look(key) is None
    mirror.trust(key)
    assert mirror.look(key) == record


def test_a_checkpoint_is_signed_and_holds_for_one_stage(tmp_path, mirror, monkeypatch):
    monkeypatch.setenv(SECRET, "a secret of a team, long enough")
    folder = tmp_path / "theirs" / "checkpoints" / "step-1"
    folder.mkdir(parents=True)
    (folder / "weights").write_text("weights")
    sent = Checkpoints(mirror, KEY, tmp_path / "theirs", "cpu")
    sent.listen({"event": "checkpoint", "folder": "checkpoints/step-1"})
    sent.close(forget=False)
    copied = "cd" * 32
    shutil.copytree(tmp_path / "mirror" / "checkpoints" / KEY, tmp_path / "mirror" / "checkpoints" / copied)
    shutil.copy(
        tmp_path / "mirror" / "checkpoints" / f"{KEY}.json", tmp_path / "mirror" / "checkpoints" / f"{copied}.json"
    )
    assert Checkpoints(mirror, copied, tmp_path / "ours", "cpu").bring() == ""
    monkeypatch.setenv(SECRET, "a secret of another team")
    assert Checkpoints(mirror, KEY, tmp_path / "ours", "cpu").bring() == ""
    monkeypatch.setenv(SECRET, "a secret of a team, long enough")
    assert Checkpoints(mirror, KEY, tmp_path / "ours", "cpu").bring() == "checkpoints/step-1"


def test_records_without_our_signature_stay_in_a_mirror_and_are_packed_as_they_are(toy, pool, url, other, monkeypatch):  # noqa: F811
    monkeypatch.setattr("xtreme_dag.engine.mirror._MANY", 3)
    monkeypatch.setenv(SECRET, "a secret of a team, long enough")
    run_local(toy.graph(), toy.executor(pool, mirror=Mirror(url)))
    monkeypatch.delenv(SECRET)
    assert Mirror(url).pack() == 7  # by somebody who has no secret
    monkeypatch.setenv(SECRET, "a secret of a team, long enough")
    assert len(Mirror(url).read_all(Mirror(url).known())) == 7
    monkeypatch.setenv(SECRET, "a secret of another team")
    found = upkeep.verify(Mirror(url), Store(other.store), lambda done, total: None)[2]
    assert len(found) == 7 and all(each.refused and not each.mended for each in found)
    monkeypatch.setenv(SECRET, "a secret of a team, long enough")
    assert upkeep.verify(Mirror(url), Store(other.store), lambda done, total: None) == (7, 7, [])


def test_what_is_damaged_in_a_mirror_is_removed_or_mended(toy, pool, url, other):  # noqa: F811
    run_local(toy.graph(), toy.executor(pool, mirror=Mirror(url)))
    planned = toy.planner().plan(toy.graph()).by_name
    files, root = fsspec.core.url_to_fs(url, skip_instance_cache=True)
    digest = planned["encode[b]"].digest
    files.pipe_file(f"{root}/objects/{digest[:2]}/{digest}/text.txt", b"C.")
    key = planned["encode[a]"].key
    files.pipe_file(f"{root}/records/{key[:2]}/{key}.json", b"{")
    records, artifacts, damaged = upkeep.verify(Mirror(url), Store(other.store), lambda done, total: None)
    assert (records, artifacts) == (7, 6) and {each.key for each in damaged} == {key, planned["encode[b]"].key}
    assert not any(each.mended for each in damaged)
    assert upkeep.verify(Mirror(url), Store(other.store), lambda done, total: None)[2] == []
    Mirror(url).push_all(toy.planner().store, [each.key for each in planned.values()])
    files.pipe_file(f"{root}/objects/{digest[:2]}/{digest}/text.txt", b"C.")
    mended = upkeep.verify(Mirror(url), toy.planner().store, lambda done, total: None)[2]
    assert [each.mended for each in mended] == [True]
    assert upkeep.verify(Mirror(url), Store(other.store), lambda done, total: None) == (7, 7, [])


def test_garbage_of_a_mirror_is_what_is_old_and_nobody_needs(toy, pool, tmp_path, monkeypatch):
    place = str(tmp_path / "mirror")
    run_local(toy.graph(), toy.executor(pool, mirror=Mirror(place)))
    toy.raw["a"].write_text("other\n")
    old = {record.name: record for record in toy.planner().store.records()}
    run_local(toy.graph(), toy.executor(pool, mirror=Mirror(place)))
    files = [path for path in (tmp_path / "mirror").rglob("*") if path.is_file()]
    assert not upkeep.unneeded(Mirror(place), [], 3600).paths
    ahead = time.time() + 7200
    with monkeypatch.context() as changed:  # our clock says nothing about files that another one has stamped
        changed.setattr(time, "time", lambda: ahead)
        assert not upkeep.unneeded(Mirror(place), [], 3600).paths
    for path in files:
        os.utime(path, (time.time() - 7200,) * 2)
    target = toy.planner().plan(toy.graph()).by_name["target[all]"]
    found = upkeep.unneeded(Mirror(place), [target.key], 3600)
    # What the new answer was made of stays, with everything before it.
    assert set(found.records.values()) == {"prepare[a]", "encode[a]", "target[all]"}
    assert {old[name].key for name in found.records.values()} == set(found.records)
    assert upkeep.remove(Mirror(place), found) == len(found.paths)
    assert upkeep.verify(Mirror(place), toy.planner().store, lambda done, total: None) == (7, 7, [])
    assert not upkeep.unneeded(Mirror(place), [target.key], 3600).paths


def test_a_mirror_tells_the_time_and_keeps_nothing_of_it(url):  # noqa: F811
    before = time.time()
    assert before - 2 <= Mirror(url).files.now() <= time.time() + 2
    assert not Mirror(url).files.listing("")


def test_a_call_that_fails_is_made_again_while_there_is_patience(tmp_path):
    failures = iter([OSError("away"), ConnectionError("away"), OSError("away")])

    def work():
        for failure in failures:
            raise failure
        return "there"

    assert Remote(str(tmp_path), 30).call(work, missing=None) == "there"
    failures = iter([OSError("away")] * 1000)
    remote = Remote(str(tmp_path), 0.5)
    start = time.monotonic()
    assert remote.call(work, missing="gone") == "gone" and 0.1 < time.monotonic() - start < 5
    assert remote.trouble == "OSError: away" and remote.call(lambda: 1, missing="gone") == "gone"
    # What waiting does not mend is not waited for.
    failures = iter([PermissionError("no")] * 9)
    start = time.monotonic()
    assert Remote(str(tmp_path), 30).call(work, missing="gone") == "gone" and time.monotonic() - start < 5


def test_a_download_goes_on_where_it_was_broken_off(tmp_path, monkeypatch):
    monkeypatch.setattr("xtreme_dag.engine.remote._BLOCK_BYTES", 10)
    content = os.urandom(95)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_bytes(content)
    remote, asked = Remote(str(tmp_path / "there"), 0.0), []
    cat = remote._files.cat_file

    def broken(path, start, end):
        asked.append(start)
        if len(asked) == 4:
            raise ConnectionError("reset")
        return cat(path, start=start, end=end)

    monkeypatch.setattr(remote._files, "cat_file", broken)
    target = tmp_path / "here" / "file"
    assert not remote.get("file", target, 95) and not target.exists()
    again = Remote(str(tmp_path / "there"), 0.0)
    monkeypatch.setattr(again._files, "cat_file", broken)
    assert again.get("file", target, 95) and target.read_bytes() == content
    assert asked == [0, 10, 20, 30, 30, 40, 50, 60, 70, 80, 90]
