"""Scoring speed against the scorers it stands in for, in one run.

    python -m bench.scoring [--rounds 5] [--share 10]

Prints JSON: seconds (medians of alternating rounds), ratios, the bars, and whether both sides gave the same figures.
`ratio` is of wall clock, `cpu_ratio` of processor time, which says more on a machine that does other work as well.
- tags: 10,000 WikiANN sentences, a tenth of the tags disturbed, as lists of strings in memory, against seqeval: F1,
  precision and recall, which evaluate.py takes in three calls (we give token accuracy as well). Other readings:
  `one_call`, against the F1 call alone; `distinct_objects`, with an object for every tag, where elsewhere equal tags
  are one object; `files` and `files_one_call`, from the files of a submission, which evaluate.py reads line by line;
  `tables`, from the list columns of Parquet tables, for both sides by `to_pylist`.
- answers: 10,000 SQuAD v1.1 dev answers by SQuAD's rules, and by MLQA's English rules, against a loop as the official
  scripts have it: each answer and gold answer normalised for exact match and again for F1, bags counted.
Ranks of LAReQA's right candidates are measured by bench/retrieval.py.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import statistics
import string
import sys
import tempfile
import time
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xtreme_dag.formats.tagging import judge_tags
from xtreme_dag.scoring import mlqa, squad, tagging
from xtreme_dag.scoring.columns import FloatArray, column_sums
from xtreme_dag.scoring.combine import values

Tags = list[list[str]]
Reading = dict[str, float]

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
LANGUAGES = ("en", "de", "es", "fr", "ru", "it")
BARS = {"tags": 50.0, "answers_squad": 1.0, "answers_mlqa": 1.0}
ARTICLES = re.compile(r"\b(a|an|the)\b")
ASCII_PUNCTUATION = set(string.punctuation)
PUNCTUATION = {chr(i) for i in range(sys.maxunicode) if unicodedata.category(chr(i))[0] == "P"} | ASCII_PUNCTUATION


def text_of(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()


def tag_lists(count: int) -> tuple[Tags, Tags]:
    """Gold and disturbed tags of sentences; equal tags are one object, as our reader of tag files has it."""
    sentences: Tags = []
    one: dict[str, str] = {}
    for language in LANGUAGES:
        for block in text_of(DATA / "panx" / f"dev-{language}.tsv.gz").split("\n\n"):
            tags = [line.split("\t")[-1].strip() for line in block.split("\n") if line.strip()]
            if tags:
                sentences.append([one.setdefault(tag, tag) for tag in tags])
    chance, kinds = random.Random(0), sorted(one)
    gold = sentences[:count]
    return gold, [[chance.choice(kinds) if chance.random() < 0.1 else tag for tag in tags] for tags in gold]


def answer_lists(count: int) -> tuple[list[list[str]], list[str]]:
    """Gold answers and answers of which a good half is wrong in some part."""
    articles = json.loads(text_of(DATA / "squad" / "dev-v1.1.json.gz"))["data"]
    golds = [[a["text"] for a in qa["answers"]] for x in articles for p in x["paragraphs"] for qa in p["qas"]][:count]
    chance = random.Random(0)
    answers = []
    for texts in golds:
        words = chance.choice(texts).split(" ")
        kind = chance.random()
        if kind < 0.2:
            words = chance.choice(golds)[0].split(" ")
        elif kind < 0.6:
            words = words[chance.randrange(len(words)) :] + ["of", "the", "city"][: chance.randrange(4)]
        answers.append(" ".join(words))
    return golds, answers


def plain_loop(golds: list[list[str]], answers: list[str], punctuation: set[str]) -> tuple[float, float]:
    """Exact match and F1 in percent, the way the official scripts go about it."""

    def normalise(text: str) -> str:
        kept = "".join(character for character in text.lower() if character not in punctuation)
        return " ".join(ARTICLES.sub(" ", kept).split())

    def f1(answer: str, gold: str) -> float:
        given, wanted = normalise(answer).split(), normalise(gold).split()
        same = sum((Counter(given) & Counter(wanted)).values())
        if same == 0:
            return 0.0
        precision, recall = same / len(given), same / len(wanted)
        return 2 * precision * recall / (precision + recall)

    em = total = 0.0
    for texts, answer in zip(golds, answers, strict=True):
        em += max(normalise(answer) == normalise(text) for text in texts)
        total += max(f1(answer, text) for text in texts)
    return 100 * em / len(golds), 100 * total / len(golds)


def encodings(width: int = 768) -> tuple[np.ndarray, np.ndarray, list[list[int]]]:
    """Unit vectors of LAReQA's sizes, right candidates (one in eleven languages) drawn towards their questions."""
    chance = np.random.default_rng(0)
    ideas = chance.normal(size=(1190, width)).astype(np.float32)
    questions = np.tile(ideas, (11, 1)) + 2 * chance.normal(size=(13090, width)).astype(np.float32)
    candidates = chance.normal(size=(13014, width)).astype(np.float32)
    gold = chance.permutation(13014)[: 1183 * 11].reshape(1183, 11)
    gold = np.concatenate([gold, gold[:7]])
    candidates[gold[:1183].ravel()] += 0.5 * np.repeat(ideas[:1183], 11, axis=0)
    for vectors in (questions, candidates):
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return questions, candidates, [gold[row % 1190].tolist() for row in range(13090)]


def sorted_map(questions: np.ndarray, candidates: np.ndarray, gold: list[list[int]]) -> float:
    """mAP@20 in percent the way the official script goes about it: a product, a full sort and a list per question."""
    scores = []
    for question, right in zip(questions, gold, strict=True):
        products = np.expand_dims(question, 0).dot(candidates.T)
        is_right = np.zeros(products.shape[1])
        for candidate in set(right):
            is_right[candidate] = 1
        targets, ranked = np.where(is_right == 1)[0], np.squeeze(products).argsort()[::-1][:20]
        hits, precision = 0.0, 0.0
        for place, candidate in enumerate(ranked):
            if candidate in targets and candidate not in ranked[:place]:
                hits += 1.0
                precision += hits / (place + 1.0)
        scores.append(precision / min(len(targets), 20))
    return 100 * float(np.mean(scores))


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall clock and of processor time."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def median(call: Callable[[], object], rounds: int) -> float:
    return statistics.median(timed(call)[0] for _ in range(rounds))


def against(ours: Callable[[], object], peer: Callable[[], object], rounds: int, repeat: int = 1) -> Reading:
    """Median seconds of both, in alternating rounds; ours repeated within a round where it is very short."""
    ours()
    return ratios([(timed(lambda: [ours() for _ in range(repeat)]), timed(peer)) for _ in range(rounds)], repeat)


def ratios(pairs: Sequence[tuple[tuple[float, float], tuple[float, float]]], repeat: int = 1) -> Reading:
    """Medians and ratios of rounds of ours, repeated within each, and the peer's (wall clock, processor time)."""
    mine, theirs = ([statistics.median(kind) for kind in zip(*side, strict=True)] for side in zip(*pairs, strict=True))
    return {
        "ours_s": round(mine[0] / repeat, 5),
        "peer_s": round(theirs[0], 5),
        "ratio": round(theirs[0] / mine[0] * repeat, 2),
        "cpu_ratio": round(theirs[1] / mine[1] * repeat, 2),
    }


def measure_tags(rounds: int) -> dict[str, object]:
    """Every reading of the comparison; `ratio` is the one of the bar."""
    from seqeval.metrics import f1_score, precision_score, recall_score

    gold, predicted = tag_lists(10_000)
    calls = (f1_score, precision_score, recall_score)

    def figures(columns: Mapping[str, FloatArray]) -> dict[str, float]:
        return {name: float(value) for name, value in values("tagging", column_sums(columns)).items()}

    def ours() -> dict[str, float]:
        return figures(tagging.statistics(gold, predicted))

    found = ours()
    peer = [100 * float(score(gold, predicted)) for score in calls]
    readings = {
        "three_calls": against(ours, lambda: [score(gold, predicted) for score in calls], rounds, 10),
        "one_call": against(ours, lambda: f1_score(gold, predicted), rounds, 10),
        "distinct_objects": distinct_objects(gold, predicted, calls, rounds),
        **readings_from_files(gold, predicted, calls, rounds, figures),
    }
    same = np.allclose([found["f1"], found["precision"], found["recall"]], peer, atol=1e-9)
    return {
        **readings.pop("three_calls"),
        **readings,
        "same_figures": bool(same),
        "sentences": len(gold),
        "tokens": sum(map(len, gold)),
    }


def distinct_objects(gold: Tags, predicted: Tags, calls: Sequence[Callable[..., object]], rounds: int) -> Reading:
    """An object for every tag, new ones in each round for either side: a string keeps its hash once it was asked for."""

    def sides() -> list[Tags]:
        return [[[f"{tag} "[:-1] for tag in tags] for tags in side] for side in (gold, predicted)]

    times = []
    for _ in range(rounds):
        mine, theirs = sides(), sides()
        ours = timed(lambda mine=mine: values("tagging", column_sums(tagging.statistics(*mine))))
        times.append((ours, timed(lambda theirs=theirs: [score(*theirs) for score in calls])))
    return ratios(times)


def readings_from_files(
    gold: Tags,
    predicted: Tags,
    calls: Sequence[Callable[..., object]],
    rounds: int,
    figures: Callable[[Mapping[str, FloatArray]], dict[str, float]],
) -> dict[str, Reading]:
    """From the files of a submission, and from the list columns of Parquet tables, to the figures."""
    with tempfile.TemporaryDirectory() as folder:
        files, tables = ([Path(folder) / f"{side}.{kind}" for side in "gp"] for kind in ("tsv", "parquet"))
        for side, file, table in zip((gold, predicted), files, tables, strict=True):
            file.write_text("".join("\n".join([*tags, "", ""]) for tags in side))
            pq.write_table(pa.table({"tags": side}), table)

        def lists_of_file(path: Path) -> Tags:
            """As evaluate.py reads a file of tags."""
            sentences: Tags = []
            sentence: list[str] = []
            with path.open() as lines:
                for line in lines:
                    if line.strip():
                        sentence.append(line.strip())
                    else:
                        sentences.append(sentence)
                        sentence = []
            return [*sentences, sentence] if sentence else sentences

        def lists_of_table(path: Path) -> Tags:
            return pq.read_table(path)["tags"].to_pylist()

        def ours_of_file() -> dict[str, float]:
            return figures(judge_tags(*files, "en").statistics)

        def ours_of_table() -> dict[str, float]:
            return figures(tagging.statistics(*map(lists_of_table, tables)))

        def peer(read: Callable[[Path], Tags], paths: list[Path], some: int) -> list[object]:
            sides = [read(path) for path in paths]
            return [score(*sides) for score in calls[:some]]

        assert ours_of_file() == ours_of_table() == figures(tagging.statistics(gold, predicted))
        return {
            "files": against(ours_of_file, lambda: peer(lists_of_file, files, 3), rounds, 10),
            "files_one_call": against(ours_of_file, lambda: peer(lists_of_file, files, 1), rounds, 10),
            "tables": against(ours_of_table, lambda: peer(lists_of_table, tables, 3), rounds, 10),
        }


def measure_answers(rounds: int, rules: str) -> dict[str, object]:
    golds, answers = answer_lists(10_000)
    punctuation = ASCII_PUNCTUATION if rules == "squad" else PUNCTUATION

    def ours() -> tuple[float, float]:
        columns = squad.statistics(golds, answers) if rules == "squad" else mlqa.statistics(golds, answers, "en")
        row = values("answers", column_sums(columns))
        return float(row["exact_match"]), float(row["f1"])

    result = against(ours, lambda: plain_loop(golds, answers, punctuation), rounds)
    same = np.allclose(ours(), plain_loop(golds, answers, punctuation), atol=1e-9)
    return {**result, "same_figures": bool(same), "answers": len(answers)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Scoring speed against the official scorers.")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    measured = {
        "tags": measure_tags(options.rounds),
        "answers_squad": measure_answers(options.rounds, "squad"),
        "answers_mlqa": measure_answers(options.rounds, "mlqa"),
    }
    for name, bar in BARS.items():
        measured[name] |= {"bar": bar, "met": bool(measured[name]["ratio"] >= bar)}
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
