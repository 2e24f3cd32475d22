"""A damaged file is found, named, and stops nothing but what needs it."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import data_release_files as release
import pytest

from xtreme_dag.benchmark.catalogue import load_catalogue
from xtreme_dag.data.sources import open_source
from xtreme_dag.data.survey import Table, survey

# Dataset -> (makes it in a folder, the file that is damaged, its language and split).
DATASETS = {
    "xnli": (release.xnli, "xnli/dev-de.tsv", "de", "dev"),
    "udpos": (release.udpos, "udpos/test-de.tsv", "de", "test"),
    "panx": (release.panx, "panx/test-de.tsv", "de", "test"),
    "xquad": (release.xquad, "xquad/xquad.de.json", "de", "test"),
    "tatoeba": (release.tatoeba, "tatoeba/tatoeba.deu-eng.deu", "de", "test"),
    "bucc2018": (release.bucc, "bucc2018/de-en.test.de", "de", "test"),
    "xcopa": (release.xcopa, "xcopa/data/et/test.et.jsonl", "et", "test"),
    "lareqa": (release.lareqa, "lareqa/xquad-r/de.json", "de", "test"),
    "mewslix": (release.mewslix, "mewslix/wikinews_mentions-test.jsonl", "de", "test"),
}


def labels_constant(path: Path) -> None:
    if path.suffix == ".jsonl":
        records = [{**json.loads(line), "label": 1} for line in path.read_text().splitlines()]
        path.write_text("\n".join(map(json.dumps, records)) + "\n")
    else:
        lines = [line.split("\t") for line in path.read_text().splitlines()]
        path.write_text(release.tsv([[*line[:-1], "neutral"] for line in lines]))


def offsets_shifted(path: Path) -> None:
    shifted = [line.replace('"answer_start": ', '"answer_start": 1') for line in path.read_text().splitlines()]
    if path.suffix == ".jsonl":
        records = [json.loads(line) for line in path.read_text().splitlines()]
        for record in records:
            for mention in record["mentions"]:
                mention["mention_span"]["start"] += 1
        shifted = [json.dumps(record) for record in records]
    path.write_text("\n".join(shifted) + "\n")


def iob2_broken(path: Path) -> None:
    path.write_text(path.read_text().replace("B-PER", "O", 3))


def row_missing(path: Path) -> None:
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        del content["data"][1]["paragraphs"][0]["qas"][0]
        path.write_text(json.dumps(content))
    else:
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[:3] + lines[4:]))


def id_doubled(path: Path) -> None:
    content = path.read_text()
    for old, new in (("q1-0-0", "q1-0-1"), ("de-00003\t", "de-00004\t"), ('"idx": 3', '"idx": 4'),
                     ('"example_id": "de-3"', '"example_id": "de-4"')):  # fmt: skip
        content = content.replace(old, new)
    path.write_text(content)


def of_another_language(path: Path) -> None:
    swapped = {
        "xnli/dev-de.tsv": "xnli/dev-fr.tsv",
        "tatoeba.deu-eng.deu": "tatoeba.rus-eng.rus",
        "udpos/test-de.tsv": "udpos/test-en.tsv",
        "panx/test-de.tsv": "panx/test-zh.tsv",
        "xquad.de.json": "xquad.ru.json",
        "xquad-r/de.json": "xquad-r/en.json",
        "data/et/test.et.jsonl": "data/tr/test.tr.jsonl",
    }
    whole = str(path)
    for old, new in swapped.items():
        if whole.endswith(old):
            path.write_bytes(Path(whole.removesuffix(old) + new).read_bytes())


def not_utf8(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + b"\xff\xfe" + data[len(data) // 2 :])


def gzip_truncated(path: Path) -> None:
    packed = gzip.compress(path.read_bytes())
    path.write_bytes(packed[: len(packed) - 12])


def line_of_200_mb(path: Path) -> None:
    with path.open("ab") as stream:
        for _ in range(200):
            stream.write(b"x" * (1 << 20))
        stream.write(b"\n")


# Corruption -> datasets that it applies to -> the rule that is broken.
CASES = [
    *((labels_constant, name, "labels_vary") for name in ("xnli", "xcopa")),
    *((offsets_shifted, name, rule) for name, rule in (
        ("xquad", "answers_at_offset"), ("lareqa", "gold_given"), ("mewslix", "readable"))),
    (iob2_broken, "panx", "iob2_legal"),
    *((row_missing, name, "ids_parallel") for name in ("xnli", "xquad", "xcopa")),
    (row_missing, "tatoeba", "readable"),
    *((id_doubled, name, rule) for name, rule in (
        ("xquad", "ids_unique"), ("lareqa", "ids_unique"), ("xcopa", "ids_unique"), ("mewslix", "ids_unique"),
        ("bucc2018", "readable"))),
    *((of_another_language, name, "texts_differ") for name in ("xnli", "udpos", "panx", "xquad", "xcopa", "tatoeba", "lareqa")),
    *((damage, name, "readable") for damage in (not_utf8, gzip_truncated) for name in DATASETS),
    *((line_of_200_mb, name, "readable") for name in ("xnli", "panx", "xquad", "xcopa", "bucc2018")),
]  # fmt: skip


def found(folder: Path, dataset: str) -> dict[tuple[str, str], Table]:
    tables = survey(load_catalogue(), open_source("folder", {"path": str(folder)}), datasets=[dataset])
    return {(table.language, table.split): table for table in tables}


def broken(table: Table) -> set[str]:
    return {rule["rule"] for rule in table.violations}


@pytest.mark.parametrize(("damage", "dataset", "rule"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_a_damaged_file_is_named_and_stops_only_its_own(tmp_path, damage, dataset, rule):
    make, file, language, split = DATASETS[dataset]
    make(tmp_path)
    before = found(tmp_path, dataset)
    assert rule not in broken(before[language, split])
    damage(tmp_path / file)
    started = time.monotonic()
    after = found(tmp_path, dataset)
    assert time.monotonic() - started < 10
    table = after[language, split]
    (violation,) = [one for one in table.violations if one["rule"] == rule]
    assert violation["count"] > 0
    if rule == "readable":
        assert f"{dataset}/{language}/{split}" in violation["error"]
        assert Path(file).name in violation["error"]
    else:
        assert violation["first_ids"]
    for key, other in after.items():
        shared_file = dataset == "mewslix" and key[1] == split
        twin = damage is of_another_language and "texts_differ" in broken(other)
        if key != (language, split) and not shared_file and not twin:
            assert broken(other) == broken(before[key]), key


def test_a_context_of_a_million_characters_is_refused(tmp_path):
    release.xquad(tmp_path)
    content = json.loads((tmp_path / "xquad/xquad.de.json").read_text())
    content["data"][0]["paragraphs"][0]["context"] += "x" * (1 << 20)
    (tmp_path / "xquad/xquad.de.json").write_text(json.dumps(content))
    (violation,) = found(tmp_path, "xquad")["de", "test"].violations
    assert "a context of 1,048," in violation["error"]
