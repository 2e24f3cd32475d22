"""The half-public contracts of Prefect that the cache adapter leans on, against a real server."""

import threading

import pytest
from prefect import __version__, flow, task
from prefect.cache_policies import CachePolicy
from prefect.transactions import IsolationLevel

from tasks._cache import FlockManager, StoreKeys, reference
from xtreme_dag.core.home import Home
from xtreme_dag.engine.gates import write_verdict
from xtreme_dag.engine.store import Store

pytestmark = pytest.mark.xdist_group("prefect")
KEY = "a" * 64
MANIFEST = {
    **{name: {} for name in ("params", "inputs", "libraries", "options", "figures")},
    "kind": "encode",
    "name": "encode[x]",
    "function": "x:y",
    "host": "box",
    "git_commit": "",
    "code": "c" * 64,
    "started": "2026-11-01T10:00:00+00:00",
    "seconds": 1.0,
    "peak_memory_bytes": 1,
}


class Fixed(CachePolicy):
    def compute_key(self, task_ctx, inputs, flow_parameters, **kwargs):
        return KEY


class World:
    """A task that commits to our store, and how often it ran."""

    def __init__(self, root):
        self.home = Home(root).ensure()
        self.store = Store(self.home.store)
        self.ran = 0

    def work(self):
        self.ran += 1
        out = self.home.work / f"out-{threading.get_ident()}"
        out.mkdir(parents=True)
        (out / "x.txt").write_text("content")
        return reference(self.store.commit(KEY, out, MANIFEST))

    def call(self):
        results = self.home.prefect / "results"
        policy = Fixed().configure(
            key_storage=StoreKeys(store=str(self.home.store), results=str(results)),
            lock_manager=FlockManager(self.home.store / "locks"),
            isolation_level=IsolationLevel.SERIALIZABLE,
        )
        step = task(
            self.work,
            name="step",
            cache_policy=policy,
            persist_result=True,
            result_storage=results,
            result_serializer="json",
            cache_result_in_memory=False,
        )

        @flow(name="cache-contract")
        def run():
            state = step(return_state=True)
            return state.name, state.result()

        return run()


@pytest.fixture
def world(tmp_path, prefect_api, monkeypatch):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: prefect_api}):
        yield World(tmp_path / "home")


def test_prefect_is_the_pinned_one():
    assert __version__ == "3.8.8"


def test_cached_by_our_key_and_healed_when_the_artifact_is_gone(world):
    assert world.call()[0] == "Completed" and world.ran == 1
    name, result = world.call()
    assert name == "Cached" and world.ran == 1
    assert result == reference(world.store.intact(KEY))
    assert set(result) == {"type", "key", "digest"}
    artifact = world.store.artifact(result["digest"])
    (artifact / "x.txt").write_text("cut")
    assert world.call()[0] == "Completed" and world.ran == 2
    assert world.call()[0] == "Cached"


def test_what_was_made_without_prefect_is_cached_too(world):
    world.work()
    assert world.call() == ("Cached", reference(world.store.intact(KEY))) and world.ran == 1


def test_a_negative_verdict_is_no_hit(tmp_path):
    store = Store(tmp_path / "store")
    out = tmp_path / "out"
    out.mkdir()
    write_verdict(out, "no")
    store.commit(KEY, out, MANIFEST)
    results = str(tmp_path / "results")
    assert StoreKeys(store=str(store.root), results=results).read_path(KEY)
    with pytest.raises(ValueError, match="negative"):
        StoreKeys(store=str(store.root), results=results, gate=True).read_path(KEY)


def test_a_key_that_is_not_in_the_store_is_not_accepted(tmp_path):
    keys = StoreKeys(store=str(tmp_path / "store"), results=str(tmp_path / "results"))
    with pytest.raises(ValueError, match="not in the store"):
        keys.write_path(KEY, b"{}")
    with pytest.raises(ValueError, match="no artifact"):
        keys.read_path(KEY)


def test_locks_exclude_and_are_freed_by_their_holder_only(tmp_path):
    first, second = FlockManager(tmp_path), FlockManager(tmp_path)
    assert first.acquire_lock("k", "a") and first.acquire_lock("k", "a")
    assert second.is_locked("k") and not second.acquire_lock("k", "b", acquire_timeout=0.2)
    with pytest.raises(ValueError, match="does not hold"):
        second.release_lock("k", "b")
    first.release_lock("k", "a")
    assert not second.is_locked("k") and second.wait_for_lock("k", timeout=0.1) and second.acquire_lock("k", "b")
