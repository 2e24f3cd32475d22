"""A mirror of the store: what one machine made, another pulls; nothing of it is trusted unseen."""

import json
import shutil
from collections import Counter
from pathlib import Path

import fsspec
import pytest

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.digests import tree_digest
from xtreme_dag.engine.local import run_local
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.records import checked_code, checked_record, record_text


@pytest.fixture(scope="module")
def s3():
    """A server that speaks S3's protocol, on loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def url(request, tmp_path, monkeypatch):
    if request.param == "folder":
        return str(tmp_path / "mirror")
    monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fsspec.filesystem("s3").invalidate_cache()
    bucket = f"mirror-{tmp_path.name.replace('_', '-')}"[:60].rstrip("-")
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir(bucket)
    return f"s3://{bucket}/store"


@pytest.fixture
def other(tmp_path):
    """The home of another machine."""
    return Home(tmp_path / "other").ensure()


def test_what_one_machine_made_another_pulls(toy, pool, url, other):
    run_local(toy.graph(gate=True), toy.executor(pool, mirror=Mirror(url)))
    ran = toy.executed()
    assert not toy.planner(home=other).plan(toy.graph(gate=True)).all_cached
    plan = toy.planner(home=other, mirror=Mirror(url)).plan(toy.graph(gate=True))
    assert plan.all_cached and {planned.reasons for planned in plan.stages} == {("on the mirror",)}
    assert not list(other.store.rglob("*.json"))  # a plan writes nothing
    outcomes = run_local(toy.graph(gate=True), toy.executor(pool, home=other, mirror=Mirror(url)))
    assert Counter(outcomes.values()) == {"cached": 10} and toy.executed() == ran
    assert toy.planner(home=other).plan(toy.graph(gate=True)).all_cached
    digests = [
        {p.stage.name: p.digest for p in toy.planner(home=home).plan(toy.graph(gate=True)).stages}
        for home in (toy.home, other)
    ]
    assert digests[0] == digests[1]
    assert not list(other.work.rglob("pulled"))
    # The other machine knows why a stage is stale although it never ran it.
    toy.edit('ENDING = "."', 'ENDING = "!"')
    planned = toy.planner(home=other).plan(toy.graph(gate=True)).by_name["encode[a]"]
    assert planned.status == "stale" and planned.reasons == ("code toy.helpers.ENDING changed",)


def test_what_is_damaged_there_runs_here_and_is_mended_there(toy, pool, url, other):
    run_local(toy.graph(), toy.executor(pool, mirror=Mirror(url)))
    digest = toy.planner().plan(toy.graph()).by_name["encode[b]"].digest
    files, root = fsspec.core.url_to_fs(url, skip_instance_cache=True)
    files.pipe_file(f"{root}/objects/{digest[:2]}/{digest}/text.txt", b"C.")  # of the same size
    mirror = Mirror(url)
    outcomes = run_local(toy.graph(), toy.executor(pool, home=other, mirror=mirror))
    assert Counter(outcomes.values()) == {"cached": 6, "succeeded": 1} and outcomes["encode[b]"] == "succeeded"
    assert "encode[b]" in mirror.trouble and "damaged" in mirror.trouble
    shutil.rmtree(other.root)
    mirror = Mirror(url)
    assert set(run_local(toy.graph(), toy.executor(pool, home=other.ensure(), mirror=mirror)).values()) == {"cached"}
    assert mirror.trouble == ""


def test_half_an_upload_is_a_miss(toy, pool, url, other):
    run_local(toy.graph(), toy.executor(pool, mirror=Mirror(url)))
    planned = toy.planner().plan(toy.graph()).by_name
    files, root = fsspec.core.url_to_fs(url, skip_instance_cache=True)
    half, gone = planned["encode[a]"], planned["encode[c]"]
    record = f"{root}/records/{half.key[:2]}/{half.key}.json"
    files.pipe_file(record, files.cat_file(record)[:100])
    files.rm(f"{root}/objects/{gone.digest[:2]}/{gone.digest}/text.txt")
    outcomes = run_local(toy.graph(), toy.executor(pool, home=other, mirror=Mirror(url)))
    assert {name for name, outcome in outcomes.items() if outcome == "succeeded"} == {"encode[a]", "encode[c]"}


def test_what_was_made_before_there_was_a_mirror_is_pushed_once(toy, pool, url, other):
    run_local(toy.graph(), toy.executor(pool))
    keys = [planned.key for planned in toy.planner().plan(toy.graph()).stages]
    store = toy.planner().store
    assert Mirror(url).push_all(store, keys) == 7 and Mirror(url).push_all(store, keys) == 0
    assert set(run_local(toy.graph(), toy.executor(pool, home=other, mirror=Mirror(url))).values()) == {"cached"}


def test_a_mirror_that_is_down_costs_a_warning(toy, pool, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    mirror = Mirror("s3://nowhere/store")
    assert set(run_local(toy.graph(), toy.executor(pool, mirror=mirror)).values()) == {"succeeded"}
    assert mirror.trouble


def test_a_url_that_fsspec_does_not_know():
    with pytest.raises(UserError, match="mirror nosuch"):
        Mirror("nosuch://x/y")


def record_path(url, key):
    return f"{fsspec.core.url_to_fs(url)[1]}/records/{key[:2]}/{key}.json"


def with_files(record, files):
    """The record with other files, and the digest that they would have."""
    return {**record, "files": files, "digest": tree_digest({name: tuple(entry) for name, entry in files.items()})}


SHA = "ab" * 32
CRAFTED = {
    "a file above the artifact": lambda r: with_files(r, {"../../../../escaped": [SHA, 3]}),
    "a file above it, later in the path": lambda r: with_files(r, {"a/../../../escaped": [SHA, 3]}),
    "an absolute file": lambda r: with_files(r, {"/tmp/escaped": [SHA, 3]}),
    "a file of another system's path": lambda r: with_files(r, {"..\\escaped": [SHA, 3]}),
    "a file named dot": lambda r: with_files(r, {"./text.txt": [SHA, 3]}),
    "a file without a name": lambda r: with_files(r, {"": [SHA, 3]}),
    "a file with an empty part": lambda r: with_files(r, {"a//text.txt": [SHA, 3]}),
    "a file with a NUL": lambda r: with_files(r, {"text\0.txt": [SHA, 3]}),
    "a file with a control character": lambda r: with_files(r, {"text\x1b[2J.txt": [SHA, 3]}),
    "a file with a long name": lambda r: with_files(r, {"x" * 300: [SHA, 3]}),
    "a file that is a folder of another": lambda r: with_files(r, {"a": [SHA, 3], "a/b": [SHA, 3]}),
    "the list of dropped files": lambda r: with_files(r, {**r["files"], ".dropped.json": [SHA, 3]}),
    "half a surrogate pair": lambda r: {**r, "files": {"\ud800.txt": [SHA, 3]}},
    "a digest that is not the files'": lambda r: {**r, "digest": SHA},
    "a digest that is a path": lambda r: {**r, "digest": "../../../../tmp"},
    "no files": lambda r: with_files(r, {}),
    "files that are a list": lambda r: {**r, "files": [["text.txt", SHA, 3]]},
    "a file without a digest": lambda r: {**r, "files": {"text.txt": [None, 3]}},
    "a size below zero": lambda r: with_files(r, {"text.txt": [SHA, -1]}),
    "a size that is none": lambda r: with_files(r, {"text.txt": [SHA, True]}),
    "a size beyond every disk": lambda r: with_files(r, {"text.txt": [SHA, 10**18]}),
    "another key": lambda r: {**r, "key": SHA},
    "code that is a path": lambda r: {**r, "code": "../../../../etc/passwd"},
    "no code": lambda r: {name: value for name, value in r.items() if name != "code"},
    "inputs that are none": lambda r: {**r, "inputs": {"table": "x"}},
    "seconds without end": lambda r: {**r, "seconds": float("inf")},
    "a name that moves the cursor": lambda r: {**r, "name": "\x1b[2Jencode[b]"},
    "another schema": lambda r: {**r, "schema": 99},
    "a list": lambda r: [r],
    "nothing": lambda r: None,
    "a moment that is none": lambda r: {**r, "started": "yesterday"},
}
RAW = {"deep brackets": b"[" * 200_000, "no JSON": b"\xff\xfe", "no bytes": b"", "a long number": b"9" * 10_000}


def sealed(value):
    """A record's file with the digest that belongs to it, so that what else is wrong with it is what is found."""
    return json.dumps(json.loads(record_text(value))) if isinstance(value, dict) else json.dumps(value)


def test_a_crafted_record_costs_a_warning_and_writes_nothing_outside(toy, pool, tmp_path):
    """The record of `encode[b]` stands on a mirror in another form: what another machine then does, one for each form."""
    url = str(tmp_path / "mirror")
    run_local(toy.graph(), toy.executor(pool, mirror=Mirror(url)))
    key = toy.planner().plan(toy.graph()).by_name["encode[b]"].key
    path = Path(record_path(url, key))
    good = json.loads(path.read_text())
    for number, (shape, content) in enumerate({**CRAFTED, **RAW}.items()):
        other = Home(tmp_path / f"other-{number}").ensure()
        before = {path for path in tmp_path.rglob("*") if other.root not in path.parents}
        path.write_bytes(content if isinstance(content, bytes) else sealed(content(good)).encode())
        plan = toy.planner(home=other, mirror=Mirror(url)).plan(toy.graph())
        assert plan.by_name["encode[b]"].status == "new", (shape, plan.by_name["encode[b]"])
        mirror = Mirror(url)
        outcomes = run_local(toy.graph(), toy.executor(pool, home=other, mirror=mirror))
        assert outcomes["encode[b]"] == "succeeded", shape
        assert Counter(outcomes.values()) == {"cached": 6, "succeeded": 1}, shape
        assert f"record {key[:16]} is damaged there: " in mirror.trouble and mirror.trouble.isprintable(), shape
        after = {path for path in tmp_path.rglob("*") if other.root not in path.parents}
        outside = {path for path in after - before if (tmp_path / "mirror") not in path.parents}
        assert outside <= {tmp_path / "log.txt"}, shape
        assert not Path("/tmp/escaped").exists() and not list(other.root.rglob("*escaped*")), shape
        # What was made here instead has mended the mirror.
        assert Mirror(url).read(key) is not None, shape
        shutil.rmtree(other.root)


def test_a_link_on_a_shared_folder_is_not_followed(toy, pool, tmp_path, other):
    url = str(tmp_path / "mirror")
    run_local(toy.graph(), toy.executor(pool, mirror=Mirror(url)))
    planned = toy.planner().plan(toy.graph()).by_name
    there = Path(url) / "objects" / planned["encode[a]"].digest[:2] / planned["encode[a]"].digest / "text.txt"
    kept = tmp_path / "kept.txt"
    there.rename(kept)
    there.symlink_to(kept)
    record = Path(record_path(url, planned["encode[c]"].key))
    record.rename(tmp_path / "record.json")
    record.symlink_to(tmp_path / "record.json")
    outcomes = run_local(toy.graph(), toy.executor(pool, home=other, mirror=Mirror(url)))
    assert {name for name, outcome in outcomes.items() if outcome == "succeeded"} == {"encode[a]", "encode[c]"}


CODE = {"empty": b"{}", "list": b"[]", "number": b'{"a": 1}', "other": b'{"a": ["b", "c"]}', "null": b"null", **RAW}


def test_damaged_code_costs_a_warning(toy, pool, tmp_path):
    url = str(tmp_path / "mirror")
    run_local(toy.graph(), toy.executor(pool, mirror=Mirror(url)))
    for number, (shape, content) in enumerate(CODE.items()):
        for path in (Path(url) / "code").iterdir():
            path.write_bytes(content)
        mirror, other = Mirror(url), Home(tmp_path / f"other-{number}").ensure()
        outcomes = run_local(toy.graph(), toy.executor(pool, home=other, mirror=mirror))
        assert set(outcomes.values()) == {"cached"} and "is damaged there" in mirror.trouble, shape
        assert not (other.store / "code").exists(), shape


def test_what_a_store_writes_is_taken(toy, pool):
    run_local(toy.graph(gate=True), toy.executor(pool))
    store = toy.planner().store
    for record in store.records():
        assert checked_record(record.key, store.record_path(record.key).read_bytes()) == record
        code = store.root / "code" / f"{record.manifest['code']}.json"
        assert checked_code(record.manifest["code"], code.read_bytes()) == dict(store.code(record.manifest["code"]))
