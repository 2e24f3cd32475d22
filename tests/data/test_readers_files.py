"""Raw files as lines: compression, encodings, long lines, and messages that name file and line."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xtreme_dag.core.errors import UserError
from xtreme_dag.data.readers import files as reading
from xtreme_dag.data.readers.files import Place, content, lines

PLACE = Place(dataset="xnli", language="de", split="test")
PACKERS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def every(path: Path) -> list[str]:
    return [line for _, found in lines(path, PLACE) for line in found]


@pytest.mark.parametrize("suffix", PACKERS)
def test_compression_is_told_by_content_not_by_name(tmp_path, suffix):
    path = tmp_path / "a.tsv"
    path.write_bytes(PACKERS[suffix]("ä\nb\n".encode()))
    assert every(path) == ["ä", "b"]
    assert content(path, PLACE, mark=b'"') == "ä\nb\n"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(blacklist_characters="\n\r\ufeff", blacklist_categories=("Cs",)), max_size=30)))
def test_lines_are_what_was_written_whatever_the_block_size(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("lines") / "a.txt"
    path.write_bytes("".join(text + "\n" for text in texts).encode())
    before = reading.BLOCK
    reading.BLOCK = 7
    try:
        assert every(path) == texts
        numbers = [first + n for first, found in lines(path, PLACE) for n in range(len(found))]
        assert numbers == list(range(1, len(texts) + 1))
    finally:
        reading.BLOCK = before


def test_only_line_feeds_end_a_line(tmp_path):
    """Other separators of Unicode stand inside sentences of the benchmark."""
    path = tmp_path / "a.txt"
    path.write_bytes("a\u2028b\x0bc\x85d\re\r\nf".encode())
    assert every(path) == ["a\u2028b\x0bc\x85d\re", "f"]


def test_a_byte_order_mark_is_dropped(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffa\nb\n".encode())
    assert every(path) == ["a", "b"]
    assert content(path, PLACE, mark=b'"').startswith("a")


def test_bytes_that_are_not_utf8_name_the_line(tmp_path):
    path = tmp_path / "xnli" / "test-de.tsv"
    path.parent.mkdir()
    path.write_bytes(b"fine\n" * 1000 + b"na\xefve\n" + b"fine\n")
    with pytest.raises(UserError, match=r"xnli/de/test, xnli/test-de.tsv, line 1001: not UTF-8: byte 0xef"):
        every(path)


def test_a_truncated_archive_is_named(tmp_path):
    path = tmp_path / "test-de.tsv.gz"
    path.write_bytes(gzip.compress(b"some text\n" * 5000)[:-20])
    with pytest.raises(UserError, match=r"test-de.tsv.gz: the archive is truncated\n  fetch the file again"):
        every(path)
    damaged = bytearray(gzip.compress(b"some text\n" * 5000))
    damaged[-8] ^= 1
    path.write_bytes(bytes(damaged))
    with pytest.raises(UserError, match="cannot be read"):
        every(path)


def test_a_line_that_is_too_long_is_refused_without_holding_it(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LONGEST_LINE", 1 << 20)
    path = tmp_path / "a.txt"
    path.write_bytes(b"short\n" * 10 + b"x" * (3 << 20) + b"\nshort\n")
    with pytest.raises(UserError, match="line 11: a line of more than 1 MiB"):
        every(path)
    path.write_bytes(b"short\n" * 10 + b"x" * (6 << 20))
    with pytest.raises(UserError, match="line 11: a line of more than 1 MiB"):
        every(path)


@pytest.mark.parametrize("mark", [b'"', b"<"])
def test_a_text_that_is_too_long_is_refused_before_the_rest_is_read(tmp_path, monkeypatch, mark):
    path = tmp_path / "a.json"
    monkeypatch.setattr(reading, "BLOCK", 1000)
    monkeypatch.setattr(reading, "LONGEST_LINE", 5000)
    path.write_bytes(mark + b"x" * 4000 + mark + b"y" * 4900 + mark)
    assert len(content(path, PLACE, mark=mark)) == 8903
    path.write_bytes(mark + b"x" * 7000 + mark + b"\xff")
    with pytest.raises(UserError, match="a text of more than 0 MiB"):
        content(path, PLACE, mark=mark)


def test_a_file_that_is_too_large_to_parse_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LARGEST_FILE", 1 << 20)
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(b" " * (6 << 20)))
    with pytest.raises(UserError, match="larger than 1 MiB"):
        content(path, PLACE, mark=b'"')
