"""The audit stage: looks for the examples of what is tested or selected on in a table that something is trained on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from xtreme_dag.contracts.columns import batches
from xtreme_dag.contracts.folded import Hashes, fold_column, hashes
from xtreme_dag.contracts.odcs import read_document
from xtreme_dag.contracts.similar import Near
from xtreme_dag.contracts.tolerance import most
from xtreme_dag.core.context import StageContext
from xtreme_dag.engine.gates import write_verdict
from xtreme_dag.tables.canonical import StoredTable

TOLERATED = 0.05  # share of the examples up to which finding them is a warning: short sentences recur
SHORT = 24  # bytes of folded text (UTF-8) below which an example proves nothing: about five words
FIRST = 5  # examples named for each finding
_TOGETHER = 64  # tested tables in memory at a time
# Examples under the same numbers are translations of each other if so many have the same label where chance would not
# do it, and if their lengths go together. (COPA's train and test have the same labels in the same order by design.)
_ALIKE, _BY_CHANCE, _LENGTHS, _ENOUGH = 0.9, 0.7, 0.5, 16
# What an id looks like that is no running number: a hash, or a number of an article.
_UNIQUE = re.compile(r"[0-9a-f]{16}|[1-9]\d{8}")
_TEXT, _ID, _NUMBER, _NEAR = "text", "id", "number", "near"  # how an example was found, in this order

Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]


def overlap(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Writes `overlap.json`, what was found of each table, and the verdict of a gate: negative if something leaks.

    An example is found if, without case, punctuation and accents, a seen one has the same texts (`text`) or, in its
    language, texts that are nearly the same (`near`, see `contracts.similar`); if its id, unless that is a running
    number, is there (`id`); or if the numbers, labels and lengths of two languages go together (`number`). Of a table
    of another format an example is found if each of its texts is somewhere in the seen table.

    Args:
        params: `seen`, the table that is trained or selected on (`dataset`, `language`, `split`, `use`, `format`);
            `tested`, those that must be new to it; `formats`, name -> what a format declares; `allowed`, name of a
            tested table (`dataset/language/split`) -> why the study allows what it shares with the seen one.
        inputs: `seen`, and each tested table by its name: `table.parquet`. `contract`, where the seen table's dataset
            has one: its properties `overlapTolerance` and `nearTolerance` hold for tables of the same dataset.
        context: the stage's surroundings.

    Returns:
        Numbers of tables and of examples found, for the manifest.
    """
    own = _tolerances(inputs.get("contract"))
    found = []
    for group in _groups(params["tested"]):
        tested = [_Tested(facts, inputs[name_of(facts)], params) for facts in group]
        _search(tested, inputs["seen"], params, context)
        for one in tested:
            tolerances = own if one.facts["dataset"] == params["seen"]["dataset"] else (TOLERATED, TOLERATED)
            found += [one.finding(params["allowed"], tolerances)] if one.found().any() else []
    content = {"seen": name_of(params["seen"]), "use": params["seen"]["use"], "findings": found}
    (context.out / "overlap.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
    leaks = [finding for finding in found if finding["leak"] and finding["allowed"] is None]
    write_verdict(context.out, said(content["seen"], leaks) if leaks else "")
    return {"tables": len(params["tested"]), "examples": sum(finding["found"] for finding in found)}


def _groups(tables: Sequence[Mapping[str, str]]) -> Iterator[Sequence[Mapping[str, str]]]:
    """The tables, so many at a time as memory takes."""
    for start in range(0, len(tables), _TOGETHER):
        yield tables[start : start + _TOGETHER]


def _tolerances(contract: Path | None) -> tuple[float, float]:
    """Shares up to which examples that are found, and that are found as near duplicates alone, are a warning."""
    found = (read_document(contract) if contract else {}).get("customProperties") or ()
    stated = {entry.get("property"): entry.get("value") for entry in found}
    overlap = float(stated.get("overlapTolerance", TOLERATED))
    return overlap, float(stated.get("nearTolerance", overlap))


def name_of(facts: Mapping[str, str]) -> str:
    """How a table is called in findings: `dataset/language/split`."""
    return f"{facts['dataset']}/{facts['language']}/{facts['split']}"


def said(seen: str, leaks: Sequence[Mapping[str, Any]]) -> str:
    """Leaks in a line, and what a study says that allows the first."""
    each = [f"{one['found']:,} of {one['examples']:,} examples of {one['tested']}" for one in leaks[:3]]
    more = f" and of {len(leaks) - 3} more tables" if len(leaks) > 3 else ""
    allow = f"{{seen: {seen}, tested: {leaks[0]['tested']}, reason: ...}}"
    return f"leak: {seen} has {', '.join(each)}{more}; to allow it: data.allow_overlap: [{allow}]"


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """Some examples: ids, gold as text, the folded text of each column."""

    ids: list[str]
    gold: list[str]
    columns: list[list[str]]

    @property
    def whole(self) -> list[str]:
        """All that is read of an example, as one text."""
        return ["\t".join(texts) for texts in self.rows]

    @property
    def sizes(self) -> list[int]:
        """Bytes of each example."""
        return [sum(len(text.encode()) for text in row) for row in self.rows]

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The folded texts of each example."""
        return list(zip(*self.columns, strict=True))


def _read(path: Path, declared: Mapping[str, Any]) -> Iterator[_Batch]:
    """The examples of a table: those rows that ask, where it has two sides."""
    read = declared["read"] or declared["compared"] or declared["texts"]
    for batch in batches(StoredTable(path)):
        if declared["sides"]:
            batch = batch.filter(pc.equal(batch["side"], declared["sides"]["asking"]))
        gold = [batch[name].to_pylist() for name in declared["shared"]]
        yield _Batch(
            ids=batch["id"].to_pylist(),
            gold=["" if None in row else str(row) for row in zip(*gold, strict=True)] if gold else [""] * len(batch),
            columns=[fold_column(batch[name]).to_pylist() for name in read],
        )


class _Tested:
    """A table whose examples are looked for, and what has been found of them.

    Args:
        facts: `dataset`, `language`, `split`, `use`, `format`.
        path: `table.parquet`.
        params: see `overlap`.
    """

    def __init__(self, facts: Mapping[str, str], path: Path, params: Mapping[str, Any]) -> None:
        parts = list(_read(path, params["formats"][facts["format"]]))
        self.facts = facts
        self.ids = [name for part in parts for name in part.ids]
        self.gold = [value for part in parts for value in part.gold]
        rows = [row for part in parts for row in part.rows]
        self.whole = hashes(["\t".join(row) for row in rows])
        self.texts = hashes([text for row in rows for text in row]).reshape(len(rows), -1)
        self._sizes = np.array([size for part in parts for size in part.sizes], dtype=np.int64)
        self._long = self._sizes >= SHORT
        self._blank = np.array([not any(row) for row in rows], dtype=bool)
        self._telling = hashes([name if _UNIQUE.search(name) else "" for name in self.ids])
        self._by = {how: np.zeros(len(rows), dtype=bool) for how in (_TEXT, _ID, _NUMBER, _NEAR)}
        self._first: dict[int, str] = {}
        seen, spoken = params["seen"], facts["language"] == params["seen"]["language"]
        self.alike = facts["format"] == seen["format"]
        self.numbered = self.alike and not spoken and any(self.gold)
        self.near = Near(rows) if self.alike and spoken and rows else None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def open(self) -> Flags:
        """The examples that were not found yet and could be, by their text."""
        return np.asarray(~(self._by[_TEXT] | self._by[_NEAR] | self._blank))

    def mark(self, how: str, rows: Any, seen: Iterable[str] = ()) -> None:
        """Notes examples as found, and under which ids."""
        self._by[how][rows] = True
        for row, name in zip(np.flatnonzero(rows) if rows.dtype == bool else rows, seen, strict=False):
            self._first.setdefault(int(row), name)

    def found(self) -> Flags:
        """The examples that were found, however."""
        flags = list(self._by.values())
        return np.asarray(flags[0] | flags[1] | flags[2] | flags[3])

    def same_ids(self, known: Hashes) -> None:
        """Marks the examples whose ids, no running numbers, are known."""
        unique = self._telling != hashes([""])[0]
        self.mark(_ID, np.isin(self._telling, known) & unique)

    def same_numbers(self, known: Mapping[int, tuple[str, int]]) -> None:
        """Marks the examples under known numbers (number -> gold and size) if they are the same ones in translation."""
        numbers = [_number(name) for name in self.ids]
        rows = np.array([row for row, number in enumerate(numbers) if self.gold[row] and number in known], dtype=int)
        if len(rows) < _ENOUGH:
            return
        theirs = [known[numbers[row]] for row in rows]
        mine, golds = np.array([self.gold[row] for row in rows]), np.array([gold for gold, _ in theirs])
        chance = sum((mine == value).mean() * (golds == value).mean() for value in np.unique(mine))
        if (mine == golds).mean() < _ALIKE or chance > _BY_CHANCE:
            return
        sizes = np.log1p(np.stack([self._sizes[rows], np.array([size for _, size in theirs], dtype=np.int64)]))
        if sizes.std(axis=1).all() and np.corrcoef(sizes)[0, 1] >= _LENGTHS:
            self.mark(_NUMBER, rows)

    def finding(self, allowed: Mapping[str, str], tolerances: tuple[float, float]) -> dict[str, Any]:
        """What was found, as JSON values.

        Args:
            allowed: see `overlap`.
            tolerances: see `_tolerances`.
        """
        found = self.found()
        # A table of nothing but short texts is judged by them all the same.
        counted = self._long if self._long.mean() >= 0.5 else np.ones(len(self), dtype=bool)
        surely = found & ~(self._by[_NEAR] & ~self._by[_ID] & ~self._by[_NUMBER])
        total, many, sure = (int((rows & counted).sum()) for rows in (counted, found, surely))
        first = np.flatnonzero(found)[:FIRST].tolist()
        name = name_of(self.facts)
        return {
            "tested": name,
            "use": self.facts["use"],
            "examples": len(self),
            "found": int(found.sum()),
            "share": round(many / max(1, total), 4),
            "by": {how: int(rows.sum()) for how, rows in self._by.items() if rows.any()},
            "first_ids": [[self.ids[row], self._first.get(row, self.ids[row])] for row in first],
            "leak": sure > most(total, tolerances[0]) or many > most(total, max(tolerances)),
            "allowed": allowed.get(name),
        }


def _number(name: str) -> int:
    """The running number that an id ends in; -1 if it ends in none."""
    digits = name[len(name.rstrip("0123456789")) :][-18:]
    return int(digits) if digits.isascii() and digits else -1


def _search(tested: Sequence[_Tested], path: Path, params: Mapping[str, Any], context: StageContext) -> None:
    """Reads the seen table once, and marks what is found of the tested ones."""
    table = StoredTable(path)
    done, total = 0, max(1, len(table))
    numbered: dict[int, tuple[str, int]] = {}
    ids: list[Hashes] = []
    texts: list[Hashes] = []
    for batch in _read(path, params["formats"][params["seen"]["format"]]):
        whole = hashes(batch.whole)
        ids.append(hashes(batch.ids))
        texts.append(np.unique(hashes([text for column in batch.columns for text in column])))
        if any(one.numbered for one in tested):
            numbers = map(_number, batch.ids)
            numbered.update(zip(numbers, zip(batch.gold, batch.sizes, strict=True), strict=True))
        rows = batch.rows
        for one in tested:
            if one.alike:
                hit = np.isin(one.whole, whole) & one.open
                place = {value: row for row, value in enumerate(whole.tolist())} if hit.any() else {}
                one.mark(_TEXT, hit, [batch.ids[place[value]] for value in one.whole[hit].tolist()])
            if one.near is not None:
                pairs = list(one.near.among(rows, one.open))
                one.mark(_NEAR, np.array([pair[0] for pair in pairs], int), [batch.ids[pair[1]] for pair in pairs])
        done += len(rows)
        context.progress(done, total)
    known_ids, known_texts = _every(ids), _every(texts)
    for one in tested:
        one.same_ids(known_ids)
        if one.numbered:
            one.same_numbers(numbered)
        if not one.alike:
            one.mark(_TEXT, np.isin(one.texts, known_texts).all(axis=1) & one.open)


def _every(parts: Sequence[Hashes]) -> Hashes:
    return np.unique(np.concatenate(parts)) if parts else hashes([])
