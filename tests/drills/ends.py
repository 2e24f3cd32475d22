"""Ends of processes and of disk space: kills and signals in the middle of runs, and homes on disks that are too small."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from tests.drills import forked
from tests.drills.place import KINDS, STUDY, Said, call, copied, digests, ended, repeatedly, started, write_study
from tests.drills.tally import Tally
from tests.workers import workers_of
from xtreme_dag.engine.ledger import Ledger
from xtreme_dag.engine.store import Store

_LIMIT = 400.0  # seconds that a run may take on a busy machine
_KILLS = 3  # in a home, before a run in it comes to its end
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
_SMALL_HOME = 20 << 20
PROCESSES = ("program", "flow", "worker", "template", "keeper", "server")


def kills(reference: Path, study: Path, folder: Path, seed: int, count: int) -> Tally:
    """Kills runners and workers at random moments, the kinds of stage in turn, until `count`; each run is gone on with.

    Every tenth home is empty; the others lack a few stages, so that the one in question is soon under way.

    Args:
        reference: a finished home.
        study: its study's file.
        folder: for the homes that runs are killed in.
        seed: of victims and moments.
        count: kills.
    """
    tally, rng = Tally("kills"), random.Random(f"kills/{seed}")
    wanted = digests(reference)
    kinds = {record.key: str(record.manifest["kind"]) for record in Store(reference / "store").records()}
    forked.warm()
    home, hit = folder / "killed", Counter(dict.fromkeys(KINDS, 0))
    homes, left, whole = 0, 0, True
    with tally.timed():
        while tally.attempts < count or not whole:
            if whole:
                left = _KILLS if homes % 10 else len(KINDS)
                shutil.rmtree(home, ignore_errors=True)
                if homes % 10:
                    _lacking(reference, home, kinds, hit, rng)
                homes += 1
            before, runner = _records(home), forked.start(study, home, folder / "said.err")
            killed = _kill_one(runner, home, kinds, hit, rng) if left > 0 and tally.attempts < count else ""
            left -= 1
            if not ended(runner, _LIMIT):
                os.killpg(runner, signal.SIGKILL)
                tally.fail("hangs", f"a runner did not end (seed {seed}, kill {tally.attempts})")
            code = os.waitstatus_to_exitcode(os.waitpid(runner, 0)[1])
            said = (folder / "said.err").read_text(errors="replace")
            words = f"{killed} (seed {seed}, kill {tally.attempts})"
            tally.attempts += bool(killed)
            tally.faults += bool(killed) and code != 0
            if "Traceback" in said:
                tally.fail("tracebacks", f"{words}: {said[-300:]}")
            if gone := before - _records(home):
                tally.fail("lost", f"{words}: {len(gone)} records")
            if trouble := Ledger(home / "ledger.jsonl").trouble():
                tally.fail("lost", f"{words}: {trouble}")
            if killed and tally.attempts % 10 == 0:
                print(f"kills: {tally.attempts}", dict(hit), flush=True)
            whole = not killed or code == 0
            if whole and code:
                tally.fail("lost", f"{words}: a run that nobody killed ended with {code}: {said[-300:]}")
            elif whole:
                _same(tally, words, home, wanted)
        shutil.rmtree(home, ignore_errors=True)
    print("kills by kind of stage under way:", dict(hit), flush=True)
    tally.notes.update(hit)
    return tally


def _lacking(reference: Path, home: Path, kinds: Mapping[str, str], hit: Counter[str], rng: random.Random) -> None:
    """A copy of a finished home without a few records of the kind that was hit least, and of another kind."""
    copied(reference, home, linked=True)
    store = Store(home / "store")
    for kind in dict.fromkeys((min(KINDS, key=lambda each: (hit[each], rng.random())), rng.choice(KINDS))):
        keys = sorted(key for key, its in kinds.items() if its == kind)
        for key in rng.sample(keys, min(len(keys), 2)):
            store.record_path(key).unlink()


def _records(home: Path) -> set[str]:
    return {record.key for record in Store(home / "store").records()}


def _kill_one(runner: int, home: Path, kinds: Mapping[str, str], hit: Counter[str], rng: random.Random) -> str:
    """Kills the runner or a worker of it while a stage of the kind that was hit least is under way; says whom, and in what."""
    there = _records(home)
    lacking = sorted({kind for key, kind in kinds.items() if key not in there and kind in KINDS})
    aim = min(lacking or KINDS, key=lambda kind: (hit[kind], rng.random()))

    def under_way() -> list[str]:
        with suppress(OSError):
            return [
                kinds[path.name] for path in (home / "work").iterdir() if (path / "out").is_dir() and path.name in kinds
            ]
        return []

    if not repeatedly(lambda: ended(runner, 0) or bool(under_way()), 120.0):
        return ""
    if not repeatedly(lambda: ended(runner, 0) or aim in under_way(), 60.0) or rng.random() < 0.5:
        time.sleep(rng.random() * rng.choice((0.02, 0.1, 0.5)))
    with suppress(psutil.NoSuchProcess):
        process, now = psutil.Process(runner), under_way()
        workers = process.children()
        victim = rng.choice(workers) if workers and rng.random() < 0.4 else process
        if not ended(runner, 0):
            victim.kill()
            hit.update(set(now))
            return f"{'worker' if victim != process else 'runner'} killed in {', '.join(sorted(set(now))) or 'between stages'}"
    return ""


def _same(tally: Tally, words: str, home: Path, wanted: dict[str, str]) -> None:
    """The home must have what a clean one has: the same digests, whole artifacts, nothing left under way."""
    made = digests(home)
    if other := [name for name in wanted if made.get(name) != wanted[name]]:
        tally.fail("wrong", f"{words}: {len(other)} artifacts differ, as {other[0]}")
    if work := list((home / "work").glob("*/out")):
        tally.fail("lost", f"{words}: {len(work)} folders of work were left")
    store = Store(home / "store")
    if bad := [record.name for record in store.records() if store.damaged_files(record)]:
        tally.fail("wrong", f"{words}: damaged: {', '.join(bad[:3])}")


def signals(
    reference: Path, study: Path, folder: Path, seed: int, pairs: Sequence[tuple[str, int]] | None = None
) -> Tally:
    """Sends each signal to each process of a real run, with a Prefect server of its own; then runs again.

    Args:
        reference: a finished home.
        study: its study's file.
        folder: for the homes.
        seed: of the moments.
        pairs: processes and signals; None for all.
    """
    tally, rng = Tally("signals"), random.Random(f"signals/{seed}")
    wanted = digests(reference)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    with tally.timed():
        for who, number in pairs or [(who, number) for who in PROCESSES for number in SIGNALS]:
            home = _half(reference, folder / "signalled")
            program = psutil.Popen(
                [sys.executable, "-m", "xtreme_dag", "run", str(study), "--device", "cpu", "--home", str(home)],
                env={**environment, "PREFECT_HOME": str(folder / "no-profile")}, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                preexec_fn=lambda: [signal.signal(each, signal.SIG_DFL) for each in (signal.SIGINT, signal.SIGHUP)],
            )  # fmt: skip
            words = f"{signal.Signals(number).name} to the {who} (seed {seed})"
            ours: list[psutil.Process] = []
            if repeatedly(lambda p=program: p.poll() is not None or bool(_find(p, "worker")), _LIMIT):  # type: ignore[misc]
                time.sleep(rng.random() * 3.0)
                victims = _find(program, who)
                ours = _family(program)
                for victim in victims[:1]:
                    tally.attempts += 1
                    with suppress(psutil.NoSuchProcess):
                        victim.send_signal(number)
            try:
                out, err = program.communicate(timeout=_LIMIT)
            except subprocess.TimeoutExpired:
                tally.fail("hangs", f"{words}: the run did not end")
                program.kill()
                out, err = program.communicate()
            tally.faults += program.returncode != 0 or "warning" in err
            if "Traceback" in err + out or "defect" in err:
                tally.fail("tracebacks", f"{words}: {err[-400:]}")
            if who in ("keeper", "server") and program.returncode:
                tally.fail("lost", f"{words}: the run ended with {program.returncode}: {err[-300:]}")
            _gone, alive = psutil.wait_procs(ours, timeout=60)
            if alive:
                tally.fail(
                    "hangs", f"{words}: {len(alive)} processes are left, as {' '.join(alive[0].cmdline())[:120]}"
                )
                for process in alive:
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
            said = call(["run", str(study), "--device", "cpu", "--home", str(home)], folder, _LIMIT, prefect=False)
            if said.code:
                tally.fail("lost", f"{words}: the next run: {said.code} {said.err[-300:]}")
            _same(tally, words, home, wanted)
            print(f"signals: {words}: exit {program.returncode}, then {said.code}", flush=True)
    return tally


def _half(reference: Path, home: Path) -> Path:
    """A copy of a finished home whose last stages have to run."""
    copied(reference, home)
    store = Store(home / "store")
    for record in list(store.records()):
        if record.manifest["kind"] in ("target", "search", "evaluate"):
            store.record_path(record.key).unlink()
    return home


def _family(program: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return list(program.children(recursive=True))
    return []


_MARKS = {
    "flow": "flows.study",
    "template": "engine.forks",
    "keeper": "program.server",
    "server": "flows._prefect_server",
}


def _find(program: psutil.Process, who: str) -> list[psutil.Process]:
    """The processes of a run that have a part in it."""
    if who == "program":
        return [program]
    if who == "worker":
        return workers_of(program)
    found, workers = [], workers_of(program)
    for process in _family(program):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            line = " ".join(process.cmdline())
            if process not in workers and _MARKS[who] in line:
                found.append(process)
    return found


def disks(reference: Path, study: Path, folder: Path, first: int, count: int, *, prefect: bool) -> Tally:
    """Runs on disks of `count` sizes, none of which takes all of it; then where there is room. Needs root, for tmpfs.

    Args:
        reference: a finished home.
        study: its study's file.
        folder: for the disks and the copies.
        first: number of the first size; 0 is the whole program, its server's database too, on a disk of 20 MB.
        count: how many sizes there are.
        prefect: whether there is a server for a flow in every fifth run.
    """
    tally = Tally("full disks")
    wanted = digests(reference)
    whole = sum(path.stat().st_size for path in (reference / "store").rglob("*") if path.is_file())
    large = write_study(folder, model={"pretrain": {**STUDY["model"]["pretrain"], "hidden_size": 256}})
    with tally.timed():
        for number in range(first, count):
            size = int(whole * (0.03 + 1.1 * number / count)) if number else _SMALL_HOME
            # The flow is in every fifth run: it writes the least, and takes the most time.
            run = partial(call, prefect=prefect and number % 5 == 0) if number else started
            asked = study if number else large
            kept = _on_a_disk(size >> 12 << 12, asked, folder, run, tally)
            said = call(["run", str(asked), "--device", "cpu", "--home", str(kept)], folder, _LIMIT, prefect=False)
            words = f"a disk of {size >> 10} KB"
            if said.code:
                tally.fail("lost", f"{words}, then one with room: {said.code} {(said.err or said.out)[-300:]}")
            _same(tally, words, kept, wanted if number else {})
            print(f"full disks: {words}: {tally.faults} of {tally.attempts} were full", flush=True)
    return tally


def _on_a_disk(size: int, study: Path, folder: Path, run: Callable[..., Said], tally: Tally) -> Path:
    """Runs a study on a disk of so many bytes, and looks at what it left; a copy of that, elsewhere."""
    disk, words = folder / "disk", f"a disk of {size >> 10} KB"
    disk.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], check=True)
    try:
        said = run(["run", str(study), "--device", "cpu", "--home", str(disk)], folder, _LIMIT)
        tally.attempts += 1
        tally.faults += said.code != 0
        if said.disorderly:
            tally.fail(said.disorderly, f"{words}: {said.code} {(said.err or said.out)[-500:]}")
        elif said.code and "no space" not in (said.err + said.out).replace("\n", " "):
            tally.fail("wrong", f"{words}: what it ended of is not said: {(said.err or said.out)[-300:]}")
        if trouble := Ledger(disk / "ledger.jsonl").trouble():
            tally.fail("lost", f"{words}: {trouble}")
        for command in ("status", "verify", "gc"):
            told = call([command, "--home", str(disk)], folder)
            if told.disorderly:
                tally.fail(told.disorderly, f"{words}: {command}: {told.err[-400:]}")
        return copied(disk, folder / "kept")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
