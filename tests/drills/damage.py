"""Damage of every kind of file in a home, and what each command makes of it."""

from __future__ import annotations

import filecmp
import os
import random
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.drills.place import Said, call, copied, digests, own
from tests.drills.tally import Tally
from xtreme_dag.engine.digests import list_files
from xtreme_dag.engine.store import Store

_HASH = re.compile(r"[0-9a-f]{8,}(-[0-9a-f]{4,})*|\b[0-9a-f]{2}(?=/)|\d+")
_SCORES = "SELECT * FROM scores ORDER BY ALL"
_PREDICTIONS = (
    "SELECT condition, task, language, count(*), count(prediction) FROM predictions GROUP BY ALL ORDER BY ALL"
)

COMMANDS: Mapping[str, Sequence[str]] = {
    "plan": ("plan", "STUDY"),
    "run": ("run", "STUDY", "--device", "cpu"),
    "why": ("why", "STUDY", "evaluate*"),
    "status": ("status", "drill"),
    "sql": ("sql", _SCORES, "--format", "csv"),
    "sql predictions": ("sql", _PREDICTIONS, "--format", "csv"),
    "compare": ("compare", "--study", "drill"),
    "report": ("report", "--study", "drill"),
    "export": ("export", "--study", "drill", "--condition", "none", "--seed", "1", "--out", "OUT"),
    "verify": ("verify",),
    "gc": ("gc", "--yes", "--older-than", "0"),
    "audit": ("audit",),
}
# Their output must be that of the whole home, or they must say why it is not.
FIGURES = ("sql", "sql predictions", "compare", "export")

Change = Callable[[Path, random.Random, Sequence[Path]], None]


def _flip(path: Path, rng: random.Random, others: Sequence[Path]) -> None:
    with path.open("r+b") as file:
        at = rng.randrange(max(1, path.stat().st_size))
        file.seek(at)
        byte = file.read(1) or b"\0"
        file.seek(at)
        file.write(bytes([byte[0] ^ (1 << rng.randrange(8))]))


def _truncate(path: Path, rng: random.Random, others: Sequence[Path]) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path, rng: random.Random, others: Sequence[Path]) -> None:
    os.truncate(path, 0)


def _delete(path: Path, rng: random.Random, others: Sequence[Path]) -> None:
    path.unlink()


def _swap(path: Path, rng: random.Random, others: Sequence[Path]) -> None:
    other = rng.choice(others)
    own(other)  # a command may write where it comes to lie
    aside = path.with_name("aside")
    path.rename(aside)
    other.rename(path)
    aside.rename(other)


def _grow(path: Path, rng: random.Random, others: Sequence[Path]) -> None:
    with path.open("ab") as file:
        file.write(rng.randbytes(64))


def _folder(path: Path, rng: random.Random, others: Sequence[Path]) -> None:
    path.unlink()
    path.mkdir()


CHANGES: Mapping[str, Change] = {
    "flip": _flip, "truncate": _truncate, "empty": _empty, "delete": _delete, "swap": _swap, "grow": _grow, "folder": _folder,
}  # fmt: skip


def kinds(home: Path) -> dict[str, list[str]]:
    """Kind of file (its path without hashes and numbers; of an artifact the file's name) -> paths in a home."""
    found: dict[str, list[str]] = {}
    for name in list_files(home):
        top, *rest = name.split("/")
        if (
            top in ("logs", "work")
            or name.startswith("prefect/prefect.db")
            or "storage" in name
            or rest[-1:] == ["said"]
        ):
            continue
        if name.startswith("store/objects/"):
            kind = "artifact " + "/".join(name.split("/")[4:])
        else:
            kind = _HASH.sub("#", name)
        found.setdefault(kind, []).append(name)
    return found


def cells(home: Path, rng: random.Random) -> Iterator[tuple[str, str, str, str, list[str]]]:
    """(kind, change, command, the file, other files to swap with), all of them in an order that is drawn."""
    every = kinds(home)
    names = list(list_files(home / "store" / "objects"))
    drawn = [(kind, change, command) for kind in every for change in CHANGES for command in COMMANDS]
    rng.shuffle(drawn)
    for kind, change, command in drawn:
        chosen = rng.choice(every[kind])
        others = [name for name in every[kind] if name != chosen] or [f"store/objects/{rng.choice(names)}"]
        yield kind, change, command, chosen, others


def drill(
    home: Path, study: Path, folder: Path, seed: int, most: int | None = None, first: int = 0, only: int | None = None
) -> Tally:
    """Damages copies of a finished home.

    Args:
        home: a finished home.
        study: its study's file.
        folder: for the copies.
        seed: of what is drawn.
        most: how many damages; None for all.
        first: the number of the first.
        only: one damage, by its number.
    """
    tally = Tally("damage")
    with tally.timed():
        wanted, usual, expected = digests(home), {}, {}
        for name in COMMANDS:
            usual[name] = _command(name, copied(home, folder / "damaged", linked=True), study, folder)
            expected[name] = _told(name, usual[name], folder)
        for number, (kind, change, command, name, others) in enumerate(cells(home, random.Random(f"damage/{seed}"))):
            if tally.attempts == most:
                break
            if number < first or only not in (None, number):
                continue
            tally.attempts += 1
            words = f"{kind} x {change} x {command} (seed {seed}, number {number}, {name})"
            rng = random.Random(f"damage/{seed}/{number}")
            place = copied(home, folder / "damaged", linked=True)
            own(place / name)
            CHANGES[change](place / name, rng, [place / other for other in others if other != name])
            found = kind.startswith("artifact ") or (kind.startswith("store/records/") and change != "delete")
            found = found and not ((place / name).is_file() and filecmp.cmp(place / name, home / name, shallow=False))
            said = _command(command, place, study, folder, prefect=kind.startswith("prefect/"))
            told = said.tells(usual[command])
            tally.faults += told
            if tally.attempts % 50 == 0:
                print(f"damage: {tally.attempts}", flush=True)
            if said.disorderly:
                tally.fail(said.disorderly, f"{words}: {said.code} {(said.err or said.out)[-400:]}")
            elif command in FIGURES and not told and _told(command, said, folder) != expected[command]:
                tally.fail("wrong", f"{words}: other figures, and nothing said: {said.err[-200:]}")
            elif command == "verify" and found and not told:
                tally.fail("wrong", f"{words}: it says nothing")
            elif command == "run":
                _judge_run(tally, words, told, said.code, place, study, folder, wanted, expected["sql"])
            elif command == "gc":
                _judge_gc(tally, words, place, home, name)
    return tally


def _command(name: str, home: Path, study: Path, folder: Path, *, prefect: bool = False) -> Said:
    out = folder / "exported"
    shutil.rmtree(out, ignore_errors=True)
    given = [str(study) if word == "STUDY" else str(out) if word == "OUT" else word for word in COMMANDS[name]]
    return call([*given, "--home", str(home)], folder, prefect=prefect)


def _told(command: str, said: Said, folder: Path) -> str:
    """The figures that a command gives."""
    if command != "export":
        return said.out
    out = folder / "exported"
    files = {name: path.read_text() for name, path in list_files(out).items() if name != "metadata.json"}
    return str(sorted(files.items()))


def _judge_run(
    tally: Tally,
    words: str,
    told: bool,
    code: int,
    home: Path,
    study: Path,
    folder: Path,
    wanted: Mapping[str, str],
    scores: str,
) -> None:
    """A run that says it is done must have made what a clean one makes, and left it so."""
    if code:
        return
    made = digests(home)
    other = [name for name in wanted if made.get(name) != wanted[name]]
    # A file that no later stage reads is only hashed by `verify`.
    if other and not told:
        tally.fail("wrong", f"{words}: {len(other)} artifacts differ, as {other[0]}")
    asked = _command("sql", home, study, folder)
    if asked.code == 0 and asked.out != scores:
        tally.fail("wrong", f"{words}: other scores after the run")
    elif asked.code:
        tally.fail("lost", f"{words}: no scores after the run: {asked.err[-200:]}")


def _judge_gc(tally: Tally, words: str, place: Path, home: Path, name: str) -> None:
    """What was live before the damage and was not damaged must still be there."""
    store, before = Store(place / "store"), Store(home / "store")
    for record in before.records():
        path = store.record_path(record.key)
        if path != place / name and not path.exists():
            tally.fail("lost", f"{words}: the record of {record.name}")
            return
        for file in record.files:
            path = store.artifact(record.digest) / file
            if not path.exists() and path != place / name:
                tally.fail("lost", f"{words}: {file} of {record.name}")
                return
