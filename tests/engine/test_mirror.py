"""A mirror of the store: what one machine made, another pulls; nothing of it is trusted unseen."""

import shutil
from collections import Counter

import fsspec
import pytest

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.local import run_local
from xtreme_dag.engine.mirror import Mirror


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
    files, root = fsspec.core.url_to_fs(url)
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
    files, root = fsspec.core.url_to_fs(url)
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
