"""Spoils bytes, and values of JSON and YAML: at random, and in the ways that have broken readers."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from typing import Any

# Bytes that readers of text, JSON, CSV, XML, YAML and terminals have stumbled over.
TOKENS: tuple[bytes, ...] = (
    b"\x00", b"\x1b[2J\x1b[31m", b"\x07", b"\r", b"\r\n", b"\n\n", b"\t", b"\x0b", b"\x1c", b"\xe2\x80\xa8", b"\xef\xbb\xbf",
    b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\x80", b"\\ud800", b"\\u0000", b'"', b"'", b"\\", b",", b":", b"{", b"}", b"[", b"]",
    b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-1", b"0.5", b"9223372036854775808", b"2147483648", b"9" * 4300,
    b"&a [*a]", b"*x", b"!!python/object:os.system", b"<<:", b"--- ", b"<!ENTITY x 'y'>", b"&amp;", b"<", b">", b"|", b"#",
    b"\xe2\x80\xae", b"\xc2\xb2", b"\xd9\xa1", b"1-3\t", b"\xf0\x9f\x98\x80", b"_", b"\x1f\x8b", b"BZ", b"\xfd7zXZ\x00",
)  # fmt: skip
_DEEP = (b"[" * 100_000, b'{"a":' * 20_000, b"- " * 2_000, b"<a>" * 5_000, b"[" * 300 + b"]" * 300)
# Values that stand where another type, a smaller number or a shorter text should.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 0.5, -10, 2**31, 2**63, -(2**63) - 1, 10**400, float("nan"), float("inf"), "", " ", "x",
    "\x00", "\x1b[2J", "\ud800", "\u2028", "\u202e", "\u00b2", "a" * 5_000, "../../etc/passwd", "/dev/zero", [], {}, [None],
    [[]], [0], {"": None}, {"a": {}}, ["x"] * 3, [{}], "1e5", "nan", "-1",
)  # fmt: skip


def spoilt_bytes(data: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """The bytes with one change to four."""
    held = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        size = len(held)
        at = rng.randrange(size + 1)
        span = min(size - at, rng.choice((1, 1, 2, 4, 16, 64, 256)))
        how = rng.randrange(40)
        if how < 8 and at < size:
            held[at] ^= 1 << rng.randrange(8)
        elif how < 11 and at < size:
            held[at] = rng.randrange(256)
        elif how < 15:
            del held[at : at + span]
        elif how < 19:
            held[at:at] = held[at : at + span]
        elif how < 29:
            held[at : at + rng.choice((0, 0, span))] = rng.choice(TOKENS)
        elif how < 31:
            del held[at:]
        elif how < 34 and others:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            held[at:at] = other[start : start + 4 * span]
        elif how < 37:
            lines = bytes(held).split(b"\n")
            rng.shuffle(lines) if rng.random() < 0.3 else lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
            held = bytearray(b"\n".join(lines))
        elif how == 37 and rng.random() < 0.02:
            held[at:at] = rng.choice(_DEEP)
        elif how == 38:
            held[at:at] = bytes(rng.randrange(256) for _ in range(span))
        elif how == 39 and rng.random() < 0.1:
            held = bytearray()
    return bytes(held)


def spoilt_value(value: Any, rng: random.Random) -> Any:
    """A copy of a JSON value with one change to three: a part replaced, deleted, doubled, renamed or nested."""
    held = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 2, 3))):
        spots = list(_spots(held))
        if not spots:
            return copy.deepcopy(rng.choice(VALUES))
        parent, name = rng.choice(spots)
        how = rng.randrange(10)
        if how < 5:
            parent[name] = copy.deepcopy(rng.choice(VALUES))
        elif how == 5:
            del parent[name]
        elif how == 6:
            parent[name] = [parent[name]]
        elif how == 7:
            other, key = rng.choice(spots)
            with_key = other[key] if (key in other if isinstance(other, dict) else key < len(other)) else None
            parent[name] = copy.deepcopy(with_key)
        elif how == 8 and isinstance(parent, dict):
            parent[rng.choice(("x", "", "\x1b", "__class__", "self", str(name).upper()))] = parent.pop(name)
        elif isinstance(parent, list):
            parent.insert(name, copy.deepcopy(parent[name]))
        elif isinstance(parent[name], str):
            parent[name] = spoilt_bytes(parent[name].encode("utf-8", "surrogatepass"), rng).decode("utf-8", "replace")
    return held


def _spots(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a value that something stands at: a mapping or list, and the key or number."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        parent = waiting.pop()
        names = list(parent) if isinstance(parent, dict) else range(len(parent)) if isinstance(parent, list) else ()
        for name in names:
            found.append((parent, name))
            waiting.append(parent[name])
    return found


def spoilt_json(data: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """JSON text with a change of its bytes or, more often, of its values; of lines of JSON one line changes."""
    if rng.random() < 0.4:
        return spoilt_bytes(data, rng, others)
    lines = data.split(b"\n")
    try:
        value = json.loads(data)
        return json.dumps(spoilt_value(value, rng), ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    except ValueError:
        pass
    at = rng.randrange(len(lines))
    try:
        lines[at] = json.dumps(spoilt_value(json.loads(lines[at]), rng)).encode()
    except ValueError:
        return spoilt_bytes(data, rng, others)
    return b"\n".join(lines)
