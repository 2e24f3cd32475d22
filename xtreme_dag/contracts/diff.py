"""What changed between two versions of a contract, and what that asks of its version number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

KINDS = ("documentation", "additive", "breaking")  # ascending
BUMPS = {"documentation": "patch", "additive": "minor", "breaking": "major"}

# Keys of a contract whose change promises neither more nor less about the data.
_TOLD = {"description", "tags", "authoritativeDefinitions", "domain", "team", "support", "roles", "status",
         "slaProperties"}  # fmt: skip
_TOLD_PROPERTIES = {"citation", "hub"}
_WEIGHTS = {"warning": 0, "error": 1}


@dataclass(frozen=True, kw_only=True)
class Change:
    """One difference.

    Attributes:
        kind: one of `KINDS`: breaking takes a promise back, additive adds one, documentation does neither.
        what: in words, with the key and both values.
    """

    kind: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """All differences between two contracts.

    Attributes:
        changes: in the order of the contract.
        old: version before.
        new: version after.
        kind: the gravest kind, or "" where nothing changed.
        asked: `major`, `minor`, `patch` or "".
        given: what the version number does: `major`, `minor`, `patch`, "" (nothing) or `back`.
    """

    changes: tuple[Change, ...]
    old: str
    new: str
    kind: str
    asked: str
    given: str

    @property
    def enough(self) -> bool:
        """The version number goes up by what the changes ask, or by more."""
        order = ["", "patch", "minor", "major"]
        return self.given != "back" and order.index(self.given) >= order.index(self.asked)


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    """Compares two contract documents of one dataset.

    A rule that is removed, turned from error to warning or given more room is breaking: who relied on it no longer
    can. One that is added or tightened is additive. So are columns; a column whose type changes, or that need no longer
    be there, is breaking, and so are other published counts, another licence, label set, format or revision.
    """
    changes = [
        *_changed(_top(old), _top(new), _top_kind),
        *_changed(_custom(old), _custom(new), _property_kind),
        *_named("column", _table(old).get("properties", []), _table(new).get("properties", []), _column_kind),
        *_named("rule", _table(old).get("quality", []), _table(new).get("quality", []), _rule_kind),
    ]
    kind = max((change.kind for change in changes), key=KINDS.index, default="")
    versions = str(old.get("version", "")), str(new.get("version", ""))
    return Difference(
        changes=tuple(changes), kind=kind, old=versions[0], new=versions[1], asked=BUMPS.get(kind, ""),
        given=_given(*versions),
    )  # fmt: skip


Kind = Callable[[str, Any, Any], str]  # key, value before, value after -> kind of the change


def _changed(old: Mapping[str, Any], new: Mapping[str, Any], kind: Kind, prefix: str = "") -> list[Change]:
    """The keys whose value differs, in the order of the old mapping and then of the new one."""
    both = [(key, old.get(key), new.get(key)) for key in dict.fromkeys([*old, *new])]
    return [
        Change(kind=kind(key, was, now), what=_told(prefix + key, was, now)) for key, was, now in both if was != now
    ]


def _named(noun: str, old: list[Mapping[str, Any]], new: list[Mapping[str, Any]], kind: Kind) -> list[Change]:
    """The entries that went, that came, and what changed in each of the others, by key."""
    before, after = ({entry["name"]: entry for entry in entries} for entries in (old, new))
    changes = [Change(kind="breaking", what=f"{noun} {name} removed") for name in before if name not in after]
    changes += [Change(kind="additive", what=f"{noun} {name} added") for name in after if name not in before]
    for name in (name for name in before if name in after):
        keys = sorted({*before[name], *after[name]})
        was, now = ({key: entry.get(key) for key in keys} for entry in (before[name], after[name]))
        changes += _changed(was, now, kind, f"{noun} {name}.")
    return changes


def _top(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in ("version", "schema", "customProperties")}


def _top_kind(key: str, was: Any, now: Any) -> str:
    return "documentation" if key in _TOLD else "breaking"


def _property_kind(key: str, was: Any, now: Any) -> str:
    if key in _TOLD_PROPERTIES:
        return "documentation"
    if key == "publishedRows":
        counts = [(split, code, count) for split, by in (was or {}).items() for code, count in by.items()]
        kept = all((now or {}).get(split, {}).get(code) == count for split, code, count in counts)
        return "additive" if kept else "breaking"
    return "additive" if was is None else "breaking"


def _column_kind(key: str, was: Any, now: Any) -> str:
    if key in ("description", "tags"):
        return "documentation"
    return "additive" if key in ("required", "unique") and now else "breaking"


def _rule_kind(key: str, was: Any, now: Any) -> str:
    if key in ("description", "dimension", "tags"):
        return "documentation"
    if key == "severity":
        return "additive" if _WEIGHTS.get(now, 0) > _WEIGHTS.get(was, 0) else "breaking"
    if key == "customProperties":
        return "additive" if _tolerated(now, was) else "breaking"
    if key == "implementation" and was["type"] == now["type"]:
        return "additive" if _tighter(was["kwargs"], now["kwargs"]) else "breaking"
    return "breaking"


def _tolerated(now: Any, was: Any) -> bool:
    """Whether a rule gives no language more room than before."""
    after, before = (_custom({"customProperties": one or ()}).get("tolerance", {}) for one in (now, was))
    return all(share <= before.get(code, 0) for code, share in after.items())


def _tighter(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether an expectation lets pass nothing that it did not let pass before."""
    for key in {*was, *now}:
        if was.get(key) == now.get(key):
            continue
        if key == "value_set" and set(now.get(key, ())) <= set(was.get(key, ())) and key in now:
            continue
        if key == "mostly" and now.get(key, 1) >= was.get(key, 1):
            continue
        if key == "min_value" and key in now and (was.get(key) is None or now[key] >= was[key]):
            continue
        if key == "max_value" and key in now and (was.get(key) is None or now[key] <= was[key]):
            continue
        return False
    return True


def _given(old: str, new: str) -> str:
    try:
        before, after = (tuple(int(part) for part in version.split(".")) for version in (old, new))
    except ValueError:
        return ""
    if after < before:
        return "back"
    for part, name in enumerate(("major", "minor", "patch")):
        if after[part] != before[part]:
            return name
    return ""


def _told(key: str, was: Any, now: Any) -> str:
    if was is None:
        return f"{key} added: {_short(now)}"
    if now is None:
        return f"{key} removed: {_short(was)}"
    return f"{key}: {_short(was)} -> {_short(now)}"


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 120 else text[:117] + "..."


def _custom(document: Mapping[str, Any]) -> dict[str, Any]:
    return {entry["property"]: entry.get("value") for entry in document.get("customProperties", ())}


def _table(document: Mapping[str, Any]) -> Mapping[str, Any]:
    tables: list[Mapping[str, Any]] = document.get("schema") or [{}]
    return tables[0]
