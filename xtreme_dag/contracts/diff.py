"""What changed between two versions of a contract, and what that asks of its version number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KINDS = ("documentation", "additive", "breaking")  # ascending
BUMPS = {"documentation": "patch", "additive": "minor", "breaking": "major"}

# Keys of a contract whose change promises neither more nor less about the data.
_TOLD = {
    "description",
    "tags",
    "authoritativeDefinitions",
    "domain",
    "team",
    "support",
    "roles",
    "status",
    "slaProperties",
}
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
        kind: the gravest kind, or "" where nothing changed.
        old: version before.
        new: version after.
        asked: `major`, `minor`, `patch` or "".
        given: what the version number does: `major`, `minor`, `patch`, "" (nothing) or `back`.
    """

    changes: tuple[Change, ...]
    kind: str
    old: str
    new: str
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
        *_top(old, new),
        *_properties(_custom(old), _custom(new)),
        *_columns(_table(old).get("properties", []), _table(new).get("properties", [])),
        *_rules(_table(old).get("quality", []), _table(new).get("quality", [])),
    ]
    kind = max((change.kind for change in changes), key=KINDS.index, default="")
    versions = str(old.get("version", "")), str(new.get("version", ""))
    return Difference(
        changes=tuple(changes), kind=kind, old=versions[0], new=versions[1], asked=BUMPS.get(kind, ""),
        given=_given(*versions),
    )  # fmt: skip


def _top(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    changes = []
    for key in [*old, *(key for key in new if key not in old)]:
        if key in ("version", "schema", "customProperties") or old.get(key) == new.get(key):
            continue
        kind = "documentation" if key in _TOLD else "breaking"
        changes.append(Change(kind=kind, what=_told(key, old.get(key), new.get(key))))
    return changes


def _properties(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    changes = []
    for key in [*old, *(key for key in new if key not in old)]:
        if old.get(key) == new.get(key):
            continue
        if key in _TOLD_PROPERTIES:
            kind = "documentation"
        elif key == "publishedRows":
            kind = _counts(old.get(key) or {}, new.get(key) or {})
        else:
            kind = "additive" if key not in old else "breaking"
        changes.append(Change(kind=kind, what=_told(key, old.get(key), new.get(key))))
    return changes


def _counts(old: Mapping[str, Mapping[str, int]], new: Mapping[str, Mapping[str, int]]) -> str:
    kept = all(new.get(split, {}).get(code) == count for split, counts in old.items() for code, count in counts.items())
    return "additive" if kept else "breaking"


def _columns(old: list[Mapping[str, Any]], new: list[Mapping[str, Any]]) -> list[Change]:
    before, after = ({column["name"]: column for column in columns} for columns in (old, new))
    changes = [Change(kind="breaking", what=f"column {name} removed") for name in before if name not in after]
    changes += [Change(kind="additive", what=f"column {name} added") for name in after if name not in before]
    for name in (name for name in before if name in after):
        for key in sorted({*before[name], *after[name]}):
            was, now = before[name].get(key), after[name].get(key)
            if was == now:
                continue
            if key in ("description", "tags"):
                kind = "documentation"
            elif key in ("required", "unique") and now:
                kind = "additive"
            else:
                kind = "breaking"
            changes.append(Change(kind=kind, what=_told(f"column {name}.{key}", was, now)))
    return changes


def _rules(old: list[Mapping[str, Any]], new: list[Mapping[str, Any]]) -> list[Change]:
    before, after = ({rule["name"]: rule for rule in rules} for rules in (old, new))
    changes = [Change(kind="breaking", what=f"rule {name} removed") for name in before if name not in after]
    changes += [Change(kind="additive", what=f"rule {name} added") for name in after if name not in before]
    for name in (name for name in before if name in after):
        for key in sorted({*before[name], *after[name]}):
            was, now = before[name].get(key), after[name].get(key)
            if was != now:
                changes.append(Change(kind=_rule_kind(key, was, now), what=_told(f"rule {name}.{key}", was, now)))
    return changes


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
    before = _tolerance(was)
    return all(share <= before.get(code, 0) for code, share in _tolerance(now).items())


def _tolerance(properties: Any) -> Mapping[str, float]:
    return next((entry["value"] for entry in properties or () if entry["property"] == "tolerance"), {})


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
