"""Records and code fingerprints as files, checked before anything of them is used: a file may be damaged or forged."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from xtreme_dag.core.files import canonical, sha256_of
from xtreme_dag.engine import fingerprint
from xtreme_dag.engine.digests import tree_digest

SCHEMA = 2
MAX_JSON_BYTES = 32 << 20
MAX_ARTIFACT_BYTES = 1 << 40
# In the folder of an artifact: the names of its files that were dropped on purpose (`Store.drop`). No part of it.
DROPPED = ".dropped.json"
_MAX_NAME_BYTES, _MAX_PATH_BYTES = 255, 1024  # a part of a path, and the whole of it, inside an artifact
_HASH = re.compile(r"[0-9a-f]{64}")
_TEXTS = ("name", "kind", "function", "host", "git_commit", "started")
_MAPPINGS = ("params", "inputs", "libraries", "options", "figures")
_MOST = 1e18  # seconds or bytes; more may be no float
_NUMBERS = ("seconds", "peak_memory_bytes")
_SELF = "manifest_digest"  # in the file alone: sha256 of all else in it


@dataclass(frozen=True, kw_only=True)
class Record:
    """The manifest of one committed stage.

    Attributes:
        key: the stage's key.
        digest: digest of the artifact.
        files: relative path -> (sha256, size in bytes).
        manifest: the whole manifest, as in the JSON file but for the digest of the manifest itself.
    """

    key: str
    digest: str
    files: Mapping[str, tuple[str, int]]
    manifest: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the stage that made it, or its key."""
        return str(self.manifest.get("name", self.key))

    @property
    def seconds(self) -> float:
        """How long the execution took."""
        return float(self.manifest.get("seconds", 0.0))

    @property
    def suspect(self) -> str:
        """Why its content cannot be trusted, so that the stage has to run again; empty if it can."""
        return str(self.manifest.get("suspect", ""))

    def files_of(self, part: str) -> dict[str, tuple[str, int]]:
        """The files of one file or folder inside the artifact; of the whole with an empty `part`."""
        if not part:
            return dict(self.files)
        return {name: entry for name, entry in self.files.items() if is_within(name, part)}

    def part_digest(self, part: str) -> str | None:
        """Digest of one file or folder inside the artifact; None if there is none."""
        if not part:
            return self.digest
        if part in self.files:
            return self.files[part][0]
        inside = {name: digest for name, (digest, _size) in self.files_of(part).items()}
        return sha256_of(inside) if inside else None


def is_within(name: str, part: str) -> bool:
    """Whether a file of an artifact is this part of it or inside it; everything is inside the empty part."""
    return not part or name == part or name.startswith(part + "/")


def is_hash(value: object) -> bool:
    """Whether a value is a sha256 in hexadecimal digits, as keys and digests are."""
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def record_text(manifest: Mapping[str, Any]) -> str:
    """A manifest as a file: its own digest is added, so that damage to fields no other digest covers is noticed."""
    told = json.loads(json.dumps({name: value for name, value in manifest.items() if name != _SELF}))
    return json.dumps({**told, _SELF: _digest_of(told)}, indent=1, ensure_ascii=False)


def _digest_of(manifest: Mapping[str, Any]) -> str:
    """sha256 of a manifest; figures may be infinite or no number (training that diverged)."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def checked_record(key: str, content: bytes) -> Record:
    """The record in a file.

    Args:
        key: under which it was found.
        content: of the file.

    Returns:
        A record whose manifest has all that a store of ours writes, whose files lie inside its artifact, and whose
        key and digests are those that it names.

    Raises:
        ValueError: it is not such a record; says why.
    """
    manifest = _mapping(content)
    _require(manifest.get("schema") == SCHEMA, "it has another schema")
    _require(is_hash(key) and manifest.get("key") == key, "it is of another key")
    for name in ("digest", "code"):
        _require(is_hash(manifest.get(name)), f"its {name} is no sha256")
    for name in _TEXTS:
        value = manifest.get(name)
        _require(isinstance(value, str) and value.isprintable(), f"its {name} is no line of text")
    for name in _MAPPINGS:
        _require(isinstance(manifest.get(name), dict), f"its {name} are no mapping")
    for name in _NUMBERS:
        _require(_is_amount(manifest.get(name)), f"its {name} are no number")
    canonical([manifest["params"], manifest["libraries"], manifest["inputs"]])  # no NaN: they are compared
    for name, entry in manifest["inputs"].items():
        _require(isinstance(entry, dict) and isinstance(entry.get("digest"), str), f"its input {name!r} has no digest")
        texts = all(isinstance(entry.get(part, ""), str) for part in ("key", "part"))
        _require(texts and _is_amount(entry.get("read", 0)), f"its input {name!r} has no origin")
    datetime.fromisoformat(manifest["started"])
    files = checked_files(manifest.get("files"))
    _require(tree_digest(files) == manifest["digest"], "its digest is not that of its files")
    # Last: what is wrong with a forged record is said in particular.
    _require(manifest.pop(_SELF, None) == _digest_of(manifest), "its manifest_digest is not that of its manifest")
    return Record(key=key, digest=manifest["digest"], files=files, manifest=manifest)


def checked_code(digest: str, content: bytes) -> dict[str, Any]:
    """The code fingerprint in a file.

    Raises:
        ValueError: it is none, or not the one of this digest.
    """
    found = _mapping(content)
    try:
        same = fingerprint.digest(found) == digest
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("it is no fingerprint") from error
    _require(same, "it is another fingerprint")
    _require(all(name.isprintable() for name in found), "it has a name that is none")
    return found


def checked_files(value: Any) -> dict[str, tuple[str, int]]:
    """Relative path -> (sha256, bytes) of an artifact whose files can be written into an empty folder and no other.

    One without files is none: nothing of it could be missing or damaged, so it would count as done whatever it says.
    """
    _require(isinstance(value, dict), "its files are no mapping")
    _require(bool(value), "it has no files")
    files: dict[str, tuple[str, int]] = {}
    for name, entry in value.items():
        _require(_is_inside(name), f"its file {name!r} does not lie inside the artifact")
        _require(name != DROPPED, f"its file {name!r} is none of an artifact")
        _require(isinstance(entry, list) and len(entry) == 2 and is_hash(entry[0]), f"its file {name!r} has no sha256")
        _require(isinstance(entry[1], int) and _is_amount(entry[1]), f"its file {name!r} has no size")
        files[name] = (entry[0], entry[1])
    folders = {"/".join(name.split("/")[:depth]) for name in files for depth in range(1, name.count("/") + 1)}
    _require(not folders & files.keys(), "one of its files is a folder of others")
    _require(sum(size for _digest, size in files.values()) <= MAX_ARTIFACT_BYTES, "its files are too large")
    return files


def _is_amount(value: object) -> bool:
    """Whether a value is a number from zero on."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MOST


def _is_inside(name: str) -> bool:
    """Whether a name is a path that leads to one place inside a folder, on every file system."""
    parts = name.split("/")
    short = len(name.encode()) <= _MAX_PATH_BYTES and all(len(part.encode()) <= _MAX_NAME_BYTES for part in parts)
    return short and name.isprintable() and "\\" not in name and not {"", ".", ".."} & set(parts)


def _mapping(content: bytes) -> dict[str, Any]:
    """The JSON mapping in a file, such that it can be written again."""
    _require(len(content) <= MAX_JSON_BYTES, "it is too large")
    try:
        text = content.decode()
        value = json.loads(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # no half of a surrogate pair
    except (ValueError, RecursionError) as error:
        raise ValueError("it is no JSON of ours") from error
    _require(isinstance(value, dict), "it is no mapping")
    found: dict[str, Any] = value
    return found


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
