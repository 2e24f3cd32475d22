"""Fuzzing: spoilt inputs to everything that reads a file, in a process that may die, hang or grow without harm.

An input is a pure function of seed, target and number, so a failure repeats:
`python -m tests.drills --only fuzz --seed SEED --repeat TARGET:NUMBER`.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import resource
import signal
import struct
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tests.drills import corpus
from tests.drills.mutate import spoilt_bytes, spoilt_json, spoilt_value
from tests.drills.tally import Tally
from xtreme_dag.core.errors import UserError, printable

HANG_SECONDS = 10.0
MEMORY_BYTES = 3 << 28  # beyond what a child has from the start, of whoever drills
_LONGEST_MESSAGE = 4_000
# A million inputs are a million files: in memory where there is such a folder.
MEMORY_FOLDER = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
_MOST = 100  # failures that a child tells of
_PLACE = struct.Struct("=qqqq")  # input under way, inputs done, refusals, peak memory in bytes


# Names of spoilt files; a refusal must have the name in it.
FILE = "spoilt"

Reader = Callable[[random.Random], object]


@dataclass(frozen=True, kw_only=True)
class Target:
    """Something that reads.

    Attributes:
        share: how many inputs it gets relative to the others.
        reader: makes, in a folder, what spoils and reads one input: it raises `UserError` or returns.
        named: whether a refusal has to name the file.
    """

    share: int
    reader: Callable[[Path], Reader]
    named: bool = True


def _raw(folder: Path) -> Reader:
    from xtreme_dag.data.prepare.assemble import assemble
    from xtreme_dag.data.readers.dispatch import read
    from xtreme_dag.data.readers.files import Place

    everything = [content for raw in corpus.RAW for content in raw.files.values()]

    def once(rng: random.Random) -> object:
        raw = rng.choice(corpus.RAW)
        spoilt = rng.choice(list(raw.files))
        files = {}
        for number, (role, content) in enumerate(raw.files.items()):
            path = folder / (f"{FILE}.txt" if role == spoilt else f"file{number}.txt")
            change = spoilt_json if content[:1] == b"{" else spoilt_bytes
            path.write_bytes(change(content, rng, everything) if role == spoilt else content)
            files[role] = path
        place = Place(dataset="fuzzed", language="de", split="train", labels=raw.labels)
        return sum(
            len(made.table)
            for made in assemble(read(raw.reader, files, raw.options, place), raw.format, raw.options, place)
        )

    return once


def _submissions(folder: Path) -> Reader:
    from xtreme_dag.submissions.folder import folder_tasks
    from xtreme_dag.submissions.read import _rows

    tasks = {**folder_tasks("xtreme"), **folder_tasks("xtreme-r")}
    everything = [side for _, *sides in corpus.SUBMISSIONS.values() for side in sides]

    def once(rng: random.Random) -> object:
        name = rng.choice(list(corpus.SUBMISSIONS))
        language, *sides = corpus.SUBMISSIONS[name]
        task, spoilt = tasks[name], rng.random() < 0.7
        paths = [
            folder / f"{FILE if spoilt == bool(side) else 'whole'}{side}.{task.layout.suffix}" for side in range(2)
        ]
        for side, (path, content) in enumerate(zip(paths, sides, strict=True)):
            change = spoilt_json if content[:1] == b"{" else spoilt_bytes
            path.write_bytes(change(content, rng, everything) if spoilt == bool(side) else content)
        judged = task.judge(paths[0], paths[1], language)
        for warning in judged.warnings:
            warning.encode()
        return _rows(judged, language, task)

    return once


def _studies(folder: Path) -> Reader:
    import yaml

    from xtreme_dag.study.file import load_study
    from xtreme_dag.wiring.build import build

    path = folder / f"{FILE}.yaml"
    plain = yaml.safe_dump(json.loads(json.dumps(corpus.STUDY)), sort_keys=False).encode()

    def once(rng: random.Random) -> object:
        if rng.random() < 0.5:
            path.write_bytes(spoilt_bytes(plain, rng))
        else:
            path.write_bytes(json.dumps(spoilt_value(corpus.STUDY, rng)).encode("utf-8", "surrogatepass"))
        return len(build(load_study(path)).graph)

    return once


def _models(folder: Path) -> Reader:
    import torch

    from xtreme_dag.core.context import StageContext
    from xtreme_dag.heads.trained import load_model
    from xtreme_dag.tables.tokenizer_files import load_tokenizer
    from xtreme_dag.training.planted import plant

    torch.set_num_threads(1)
    whole = folder / "model"
    whole.mkdir(exist_ok=True)
    (folder / "scratch").mkdir(exist_ok=True)
    context = StageContext(out=whole, scratch=folder / "scratch")
    plant(
        {"seed": 1, "steps": 1, "sentences": 4, "hidden_size": 8, "heads": 2, "layers": 1, "batch_size": 4}, {}, context
    )
    names = ["encoder/config.json", "heads.json", "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json",
             "encoder/model.safetensors", "heads.safetensors"]  # fmt: skip
    kept = {name: (whole / name).read_bytes() for name in names if (whole / name).is_file()}
    index = {"weight_map": {"a": "model.safetensors"}, "metadata": {}}
    words = json.loads(kept["tokenizer/tokenizer.json"])
    # The vocabulary is thousands of entries: spoilt are mostly those around it.
    vocabulary = words["model"].pop("vocab")

    def spoilt(name: str, content: bytes, rng: random.Random) -> bytes:
        if name.endswith(".safetensors"):
            return spoilt_bytes(content[:600], rng) + content[600:]
        if name == "tokenizer/tokenizer.json" and rng.random() < 0.9:
            changed = spoilt_value(words, rng)
            if isinstance(changed, dict) and isinstance(changed.get("model"), dict):
                changed["model"].setdefault("vocab", vocabulary)
            return json.dumps(changed).encode("utf-8", "surrogatepass")
        return spoilt_json(content, rng)

    def once(rng: random.Random) -> object:
        name = rng.choice([*kept, "encoder/model.safetensors.index.json"])
        path = whole / name
        try:
            if name in kept:
                path.write_bytes(spoilt(name, kept[name], rng))
            else:
                path.write_bytes(spoilt_json(json.dumps(index).encode(), rng))
                (whole / "encoder/model.safetensors").rename(whole / "encoder/away")
            return load_tokenizer(whole) if "tokenizer" in name else load_model(whole, log=lambda _line: None)
        finally:
            if name in kept:
                path.write_bytes(kept[name])
            else:
                path.unlink()
                (whole / "encoder/away").rename(whole / "encoder/model.safetensors")

    return once


def _sealed(content: bytes) -> bytes:
    """A record with the digest that belongs to it, if it is a mapping: else none would be looked at further."""
    from xtreme_dag.engine.records import record_text

    try:
        value = json.loads(content)
        return record_text(value).encode() if isinstance(value, dict) else content
    except (ValueError, RecursionError):
        return content


def _records(folder: Path) -> Reader:
    from xtreme_dag.engine.records import checked_code, checked_record

    record = json.dumps(corpus.RECORD).encode()
    code = json.dumps({"xtreme_dag.a:b": ["f" * 64, ["c"]]}).encode()

    def once(rng: random.Random) -> object:
        try:
            if rng.random() < 0.2:
                return checked_code("a" * 64, spoilt_json(code, rng))
            return checked_record(corpus.RECORD_KEY, _sealed(spoilt_json(record, rng)))
        except ValueError as error:  # what a store takes for damage
            raise UserError(str(error)) from None

    return once


def _ledgers(folder: Path) -> Reader:
    from xtreme_dag.engine.digests import FileDigests
    from xtreme_dag.engine.ledger import Ledger

    path, cache = folder / f"{FILE}.jsonl", json.dumps(corpus.CACHE).encode()

    def once(rng: random.Random) -> object:
        if rng.random() < 0.2:
            path.write_bytes(spoilt_json(cache, rng))
            digests = FileDigests(path)
            digests.knows(path)
            return digests.trouble.encode()
        path.write_bytes(spoilt_json(corpus.LEDGER, rng))
        ledger = Ledger(path)
        ledger.last("drill")
        ledger.median_seconds()
        return ledger.trouble().encode()

    return once


def _landings(folder: Path) -> Reader:
    from xtreme_dag.results.landed import Landing

    path, content = folder / f"{FILE}.json", json.dumps(corpus.LANDING).encode()

    def once(rng: random.Random) -> object:
        path.write_bytes(spoilt_json(content, rng))
        json.dumps(Landing.read(path, what="a landing", fix="delete it").to_json(), ensure_ascii=False).encode()
        return None

    return once


TARGETS: Mapping[str, Target] = {
    "raw data": Target(share=200, reader=_raw),
    "submissions": Target(share=160, reader=_submissions),
    "studies": Target(share=15, reader=_studies, named=False),
    "model folders": Target(share=5, reader=_models),
    "records": Target(share=260, reader=_records, named=False),
    "ledgers": Target(share=240, reader=_ledgers, named=False),
    "landings": Target(share=120, reader=_landings),
}


def read_once(read: Reader, name: str, seed: int, number: int) -> tuple[bool, str, str]:
    """Reads one input: whether it was refused, and, where it was so in a wrong way, the kind of failure and what it is."""
    try:
        read(random.Random(f"{seed}/{name}/{number}"))
    except UserError as error:
        what = _unfit(str(error), TARGETS[name])
        return True, "wrong" if what else "", what
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {str(error)[:150]!a} at {Path(last.filename).name}:{last.lineno}"
        return True, "tracebacks", what
    return False, "", ""


def _unfit(said: str, target: Target) -> str:
    """What is wrong with a message: it cannot be printed, has no end, or names no file."""
    if printable(said) != said:
        return f"a message that cannot be printed: {said[:200]!a}"
    if len(said) > _LONGEST_MESSAGE:
        return f"a message of {len(said)} characters: {said[:100]!a}"
    if target.named and not any(name in said for name in (FILE, "whole1", "model")):
        return f"a message that names no file: {said[:150]!a}"
    return ""


def fuzz(count: int, seed: int, only: str = "") -> Tally:
    """Reads `count` spoilt inputs, divided among the targets by their shares."""
    tally = Tally("fuzz")
    chosen = {name: target for name, target in TARGETS.items() if only in ("", name)}
    total = sum(target.share for target in chosen.values())
    with tally.timed():
        for name, target in chosen.items():
            done, refused, begun = tally.attempts, tally.faults, time.monotonic()
            peak = _fuzz_target(name, count * target.share // total, seed, tally)
            print(f"fuzz {name}: {tally.attempts - done:,} inputs, {tally.faults - refused:,} refused, "
                  f"{time.monotonic() - begun:.0f} s, peak {peak >> 20} MB", flush=True)  # fmt: skip
            if peak > MEMORY_BYTES:
                tally.fail("wrong", f"{name}: {peak >> 20} MB of memory")
    return tally


def _fuzz_target(name: str, count: int, seed: int, tally: Tally) -> int:
    """Fuzzes one target in child processes, each until it dies or hangs; returns the most memory that one took."""
    peak, first = 0, 0
    while first < count:
        with (
            tempfile.TemporaryDirectory(prefix="drill-fuzz-", dir=MEMORY_FOLDER) as folder,
            mmap.mmap(-1, _PLACE.size) as shared,
        ):
            shared[:] = _PLACE.pack(-1, 0, 0, 0)
            read, write = os.pipe()
            child = os.fork()
            if not child:
                os.close(read)
                _child(name, range(first, count), seed, Path(folder), shared, write)
            os.close(write)
            with os.fdopen(read, "rb") as told:
                status, hung = _watched(child, shared)
                for line in told:
                    kind, number, what = json.loads(line)
                    tally.fail(kind, f"{name}:{number}: {what}")
            number, done, refused, memory = _PLACE.unpack(shared[:])
            tally.attempts, tally.faults, peak = tally.attempts + done, tally.faults + refused, max(peak, memory)
            if not hung and status == 0:
                return peak
            if number < 0:
                raise RuntimeError(f"{name}: the target could not be made")
            tally.attempts += 1
            tally.fail(
                "hangs" if hung else "tracebacks", f"{name}:{number}: " + ("hung" if hung else f"ended by {status}")
            )
            first = number + 1
    return peak


def _watched(child: int, shared: mmap.mmap) -> tuple[int, bool]:
    """Waits for a child; kills it when one input takes too long. Its exit status, and whether it hung."""
    last, used, since = -1, 0.0, time.monotonic()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), False
        now, process = _PLACE.unpack(shared[:])[0], _processor_seconds(child)
        if now != last:
            last, used, since = now, process, time.monotonic()
        # Its own seconds: on a busy machine it may wait for the processor. Before the first input it imports.
        spent = process - used > HANG_SECONDS or time.monotonic() - since > 6 * HANG_SECONDS
        if (now >= 0 and spent) or time.monotonic() - since > 30 * HANG_SECONDS:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return -signal.SIGKILL, True
        time.sleep(0.02)


def _processor_seconds(process: int) -> float:
    """Seconds of the processor that a process has used; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_bytes() -> int:
    """The most memory that this process has had; of a forked one at first what its parent has."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _child(name: str, numbers: range, seed: int, folder: Path, shared: mmap.mmap, told: int) -> NoReturn:
    """Reads inputs until the last, and says where it is; complaints go to the pipe, few enough for its buffer."""
    code = 1
    inherited = _peak_bytes()
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        read, refused, kinds = TARGETS[name].reader(folder), 0, set()
        for done, number in enumerate(numbers):
            shared[:] = _PLACE.pack(number, done, refused, _peak_bytes() - inherited)
            was, kind, what = read_once(read, name, seed, number)
            refused += was
            if kind and len(kinds) < _MOST and (told_of := (kind, what[-60:])) not in kinds:
                kinds.add(told_of)
                os.write(told, json.dumps([kind, number, what]).encode() + b"\n")
        shared[:] = _PLACE.pack(numbers[-1], len(numbers), refused, _peak_bytes() - inherited)
        code = 0
    except BaseException:
        traceback.print_exc(file=os.fdopen(1, "w"))
    finally:
        os._exit(code)
