"""Raw files, compressed or not, as lines or as a whole; mistakes in them name file and line.

Files are read in blocks, so memory is bounded whatever their size. A line ends at LF alone (CR LF too); other line
separators of Unicode stay in the text.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from xtreme_dag.core.errors import UserError, nearest

BLOCK = 4 << 20  # bytes read at a time
LONGEST_LINE = 16 << 20  # bytes; the longest line of a line-based release file is below 1 MiB
LARGEST_FILE = 1 << 30  # bytes, for formats that must be parsed whole (JSON, XML); SQuAD train has 30 MB
MAGIC = {b"\x1f\x8b": "gzip", b"BZ": "bz2", b"\xfd7": "xz"}


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some examples of one file.

    Attributes:
        columns: canonical column -> values, all of one length; `id` where the file has ids.
        file: where they come from.
        lines: line number of each example; empty where the format has none.
        labels_file: where their labels come from, if that is another file.
        read: examples of the file that the chunk stands for, as its publishers count them: those that the reader left
            out too, questions rather than rows of a pool. None: as many as the chunk has.
        left_out: reason (`withheld_words`) -> where the examples stand that cannot be used and were left out.
    """

    columns: Mapping[str, Sequence[Any]]
    file: Path
    lines: Sequence[int] = ()
    labels_file: Path | None = None
    read: int | None = None
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


@dataclass(frozen=True, kw_only=True)
class Place:
    """What is being read, for messages and for readers that depend on it.

    Attributes:
        dataset: its name.
        language: ISO code.
        split: its name.
        labels: the label set, or empty.
    """

    dataset: str
    language: str
    split: str
    labels: tuple[str, ...] = field(default=())

    def error(
        self,
        what: str,
        file: Path,
        line: int = 0,
        *,
        ids: Sequence[str] = (),
        fix: str = "",
        wrong: str = "",
        valid: Sequence[str] = (),
    ) -> UserError:
        """A mistake in a file; for a value that is wrong where others are valid, the advice names the nearest of them."""
        at = f"{file.parent.name}/{file.name}" + (f", line {line}" if line else "")
        first = f" (first ids: {', '.join(ids)})" if ids else ""
        where = f"{self.dataset}/{self.language}/{self.split}, {at}"
        return UserError(f"{what}{first}", where=where, fix=nearest(wrong, valid) if valid else fix)


def blocks(path: Path, place: Place) -> Iterator[tuple[int, str]]:
    """Blocks of whole lines as text, without the last line's end, each with the number of its first line.

    Lines end at LF; a CR before it, and a byte order mark at the start, are gone.

    Raises:
        UserError: not UTF-8, a broken or truncated archive, or a line longer than `LONGEST_LINE`.
    """
    number = 1
    rest = b""
    for block in _read(path, place):
        head, newline, tail = block.rpartition(b"\n")
        whole = rest + (head if newline else block)
        _bounded(whole, path, place, number)
        if not newline:
            rest = whole
            continue
        yield number, _text(whole, path, place, number)
        number += whole.count(b"\n") + 1
        rest = tail
    if rest:
        yield number, _text(rest, path, place, number)


def lines(path: Path, place: Place) -> Iterator[tuple[int, list[str]]]:
    """Blocks of lines without their ends, each with the number of its first line.

    Raises:
        UserError: as `blocks`.
    """
    for number, text in blocks(path, place):
        yield number, text.split("\n")


def content(path: Path, place: Place, *, mark: bytes) -> str:
    """A whole file as text.

    Args:
        path: the file.
        place: for errors.
        mark: the character that stands at the end of every text in the format, so that a text that is too long is
            refused before all of it is read: `"` of JSON, `<` of XML.

    Raises:
        UserError: not UTF-8, a broken or truncated archive, larger than `LARGEST_FILE`, or a text longer than
            `LONGEST_LINE`.
    """
    held = bytearray()
    since = 0  # bytes since the last mark
    for block in _read(path, place):
        held += block
        if len(held) > LARGEST_FILE:
            raise place.error(f"larger than {LARGEST_FILE >> 20} MiB", path)
        since = len(block) - found - 1 if (found := block.rfind(mark)) >= 0 else since + len(block)
        if since > LONGEST_LINE:
            raise place.error(f"a text of more than {LONGEST_LINE >> 20} MiB", path)
    return _decoded(bytes(held), path, place, 1).removeprefix("\ufeff")


def _text(data: bytes, path: Path, place: Place, number: int) -> str:
    text = _decoded(data, path, place, number)
    if "\r" in text:
        text = text.replace("\r\n", "\n").removesuffix("\r")
    return text.removeprefix("\ufeff") if number == 1 else text


def _read(path: Path, place: Place) -> Iterator[bytes]:
    try:
        with _open(path) as stream:
            while block := stream.read(BLOCK):
                yield block
    except EOFError:
        raise place.error("the archive is truncated", path, fix="fetch the file again") from None
    except (gzip.BadGzipFile, zlib.error, lzma.LZMAError, OSError) as error:
        raise place.error(f"cannot be read: {error}", path, fix="fetch the file again") from None


def _open(path: Path) -> BinaryIO:
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("not a regular file")  # a pipe or a device would have no end
    with path.open("rb") as stream:
        kind = MAGIC.get(stream.read(2))
    if kind == "gzip":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if kind == "bz2":
        return cast(BinaryIO, bz2.open(path, "rb"))
    if kind == "xz":
        return cast(BinaryIO, lzma.open(path, "rb"))
    return path.open("rb")


def _decoded(data: bytes, path: Path, place: Place, number: int) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = number + data.count(b"\n", 0, error.start)
        raise place.error(f"not UTF-8: byte 0x{data[error.start]:02x}", path, line) from None


def _bounded(data: bytes, path: Path, place: Place, number: int) -> None:
    """Refuses a line that is too long; only blocks long enough to hold one are looked at."""
    if len(data) <= LONGEST_LINE:
        return
    start = 0
    while start >= 0:
        end = data.find(b"\n", start)
        if (end if end >= 0 else len(data)) - start > LONGEST_LINE:
            line = number + data.count(b"\n", 0, start)
            raise place.error(f"a line of more than {LONGEST_LINE >> 20} MiB", path, line)
        start = end + 1 if end >= 0 else -1
