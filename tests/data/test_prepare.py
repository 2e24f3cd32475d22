"""The prepare stage: deterministic bytes, counts, parts and limits."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data import release_files as release
from tests.data.read_tables import params_of, prepared, read_table
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.catalogue.sources import open_source
from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError
from xtreme_dag.data.prepare.assemble import assemble
from xtreme_dag.data.prepare.limit import limited
from xtreme_dag.data.prepare.prepare import prepare
from xtreme_dag.data.readers.files import Chunk, Place
from xtreme_dag.tables.canonical import ROW_GROUP, SCHEMAS, row_groups
from xtreme_dag.tables.canonical import read_table as read_canonical


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_artifact_is_a_table_and_its_counts(tmp_path):
    release.xnli(tmp_path / "raw")
    out = prepared(tmp_path / "raw", tmp_path / "out", "xnli", "de", "test")
    assert sorted(path.name for path in out.iterdir()) == ["counts.json", "table.parquet"]
    table = read_canonical(out)
    assert table.schema.equals(SCHEMAS["pair_classification"])
    assert json.loads((out / "counts.json").read_text()) == {
        "format": "pair_classification", "rows": 60, "read": 60, "whole": True, "labelled": True, "script": "Latin",
        "labels": {"contradiction": 20, "entailment": 20, "neutral": 20},
    }  # fmt: skip


def test_the_same_input_gives_the_same_bytes_in_every_process(tmp_path):
    release.panx(tmp_path / "raw")
    first = prepared(tmp_path / "raw", tmp_path / "one", "panx", "de", "test", limit=7)
    code = (
        "import sys\n"
        "from pathlib import Path; from tests.data.read_tables import prepared\n"
        "prepared(Path(sys.argv[1]), Path(sys.argv[2]), 'panx', 'de', 'test', limit=7)"
    )
    env = {**os.environ, "PYTHONHASHSEED": "12345"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "raw"), str(tmp_path / "two")], check=True, env=env)
    for name in ("table.parquet", "counts.json"):
        assert sha(first / name) == sha(tmp_path / "two" / name)


def test_compression_of_the_raw_file_does_not_show_in_the_table(tmp_path):
    for folder, packed in (("a", False), ("b", True)):
        rows = release.tsv(release.pairs("en", "train", 30))
        release.write(tmp_path / folder / "xnli/train-en.tsv", rows, compress=packed)
    plain, packed = (prepared(tmp_path / name, tmp_path / f"out-{name}", "xnli", "en", "train") for name in "ab")
    assert sha(plain / "table.parquet") == sha(packed / "table.parquet")


def test_every_dataset_can_be_made_by_the_miniworld(tmp_path):
    source = open_source("miniworld", {"rows": {"train": 12, "select": 12, "test": 12}, "languages": ["en", "qaf"]})
    for dataset in load_catalogue().datasets.values():
        for split in dataset.splits:
            for language in source.languages(dataset, split):
                out = tmp_path / dataset.name / split / language
                out.mkdir(parents=True)
                params, located = params_of(source, dataset.name, language, split)
                prepare(params, located.files, StageContext(out=out, scratch=out))
                table = read_canonical(out)
                assert table.schema.equals(SCHEMAS[dataset.format]), dataset.name
                assert set(table["language"].to_pylist()) == {language}
                assert set(table["split"].to_pylist()) == {split}
                ids = table["id"].to_pylist()
                assert len(set(ids)) == len(ids) > 0


def test_an_unknown_reader_is_named(tmp_path):
    params = {"reader": "psv", "dataset": "x", "language": "de", "split": "test", "format": "tagging", "labels": []}
    with pytest.raises(UserError, match="dataset x: no reader 'psv'"):
        prepare(params, {}, StageContext(out=tmp_path, scratch=tmp_path))


IDS = st.lists(st.text("abcdef0123", min_size=1, max_size=6), min_size=1, max_size=40, unique=True)


def plain(ids, language="de"):
    columns = {"id": ids, "language": [language] * len(ids), "split": ["test"] * len(ids),
               "text": [f"{language} {name}" for name in ids], "document": ["0"] * len(ids)}  # fmt: skip
    return pa.table(columns, schema=SCHEMAS["plain_text"])


@settings(max_examples=80, deadline=None)
@given(IDS, st.integers(0, 45), st.integers(0, 3), st.randoms(use_true_random=False))
def test_a_limit_keeps_the_same_ids_in_every_language_and_order(ids, limit, seed, rng):
    shuffled = list(ids)
    rng.shuffle(shuffled)
    one = limited(plain(ids), "plain_text", limit, seed)["id"].to_pylist()
    other = limited(plain(shuffled, "fr"), "plain_text", limit, seed)["id"].to_pylist()
    assert len(one) == min(limit, len(ids))
    assert set(one) == set(other)
    assert one == [name for name in ids if name in set(one)]
    if limit:
        assert set(limited(plain(ids), "plain_text", limit - 1, seed)["id"].to_pylist()) <= set(one)


def test_no_limit_is_everything():
    table = plain(["a", "b"])
    assert limited(table, "plain_text", None, 0) is table
    assert limited(table, "plain_text", 2, 0) is table


def test_a_limit_of_a_pool_keeps_queries_with_what_they_point_at(tmp_path):
    release.bucc(tmp_path, pairs_count=30, distractors=70)
    table = read_table(tmp_path, "bucc2018", "de", "test", limit=12)
    rows = table.to_pylist()
    ids = {row["id"] for row in rows}
    foreign = [row for row in rows if row["side"] == "foreign"]
    assert len(foreign) == 12
    assert all(row["gold"] and set(row["gold"]) <= ids for row in foreign)
    assert sum(row["side"] == "english" for row in rows) == 12


def chunked(sizes):
    number = 0
    for size in sizes:
        names = [f"t{(number + n) // 3}" for n in range(size)]
        columns = {"text_a": names, "text_b": ["b"] * size, "label": ["neutral"] * size}
        yield Chunk(columns=columns, file=None)
        number += size


def assembled(sizes, options):
    """Ids, texts and number of examples read, of all pieces."""
    place = Place(dataset="xnli", language="de", split="dev", labels=release.LABELS)
    pieces = list(assemble(chunked(sizes), "pair_classification", options, place))
    ids, texts = ([text for piece in pieces for text in piece.table[name].to_pylist()] for name in ("id", "text_a"))
    return ids, texts, sum(piece.read for piece in pieces)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=20), st.integers(1, 5), st.sampled_from(["rows", "column"]))
def test_parts_are_disjoint_and_whole_however_the_file_is_chunked(sizes, of, way):
    by = {"rows": 3} if way == "rows" else {"column": "text_a"}
    whole, _, read = assembled(sizes, {})
    parts = [assembled(sizes, {"part": {**by, "of": of, "keep": [k]}}) for k in range(of)]
    ids = [name for part in parts for name in part[0]]
    assert sorted(ids) == sorted(whole)
    assert len(set(ids)) == len(ids) == sum(sizes)
    texts = [set(part[1]) for part in parts]
    assert sum(map(len, texts)) == len(set().union(*texts, set()))
    assert all(part[2] == read == sum(sizes) for part in parts)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 2 * ROW_GROUP), min_size=1, max_size=4))
def test_row_groups_are_full_and_the_last_has_the_rest(sizes):
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    pieces = [pa.table({"n": np.arange(start, start + size)}) for start, size in zip(starts, sizes, strict=True)]
    groups = [group["n"].to_numpy() for group in row_groups(pieces)]
    assert np.array_equal(np.concatenate(groups), np.arange(sum(sizes)))
    assert {len(group) for group in groups[:-1]} <= {ROW_GROUP} and len(groups) == max(1, -(-sum(sizes) // ROW_GROUP))


def test_a_table_is_written_without_being_held(tmp_path):
    text = release.text("en", "a", 20)
    for rows in (150_000, 400_000):
        lines = release.tsv([[f"{n} {text}", f"b {n}", "neutral"] for n in range(rows)])
        release.write(tmp_path / str(rows) / "xnli/train-en.tsv", lines)
    code = (
        "import sys\n"
        "from pathlib import Path; import pyarrow as pa; from tests.data.read_tables import prepared\n"
        "for rows in ('150000', '400000'):\n"
        "    prepared(Path(sys.argv[1]) / rows, Path(sys.argv[1]) / rows / 'out', 'mnli', 'en', 'train')\n"
        "    print(pa.default_memory_pool().max_memory())\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    fewer, more = map(int, done.stdout.split())
    # What is added to the table between them, 60 MB, would be there if it were held; pieces of a block each differ by some.
    assert more < fewer + (24 << 20)
