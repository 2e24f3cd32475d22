"""Whole submissions from the release files: every language that is at hand, with predictions as no model gives them.

Labels and predictions are written as files, because the reading of files is part of the official scores.
"""

import json
import random

from tests.scoring.hostile_answers import full_width, hostile, noise
from tests.scoring.real_files import gold_tags, text_of
from xtreme_dag.catalogue.languages import languages

ODD_TAGS = [
    "Ｂ-PER",
    "b-PER",
    "B－PER",
    "B",
    "I",
    "X",
    "-",
    "B-",
    "E-LOC",
    "S-LOC",
    "人",
    "O O",
    "_",
    "NOUN\u00a0X",
    "É",
]
LINE_ENDS = ["\n", "\r\n", "\r"]
BLANKS = ["", " ", "\t", "\u3000", "\u00a0"]


def write_submission(data, folder, most):
    """Labels and predictions of at most so many examples a language, below `folder/labels` and `folder/predictions`.

    Returns the cells: (task, language).
    """
    sides = {"labels": folder / "labels", "predictions": folder / "predictions"}
    cells = []

    def put(task, language, suffix, labels, predictions):
        for side, text in (("labels", labels), ("predictions", predictions)):
            path = sides[side] / task / f"test-{language}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8"))
        cells.append((task, language))

    for task, kinds in (("xnli", ["contradiction", "entailment", "neutral"]), ("pawsx", ["0", "1"])):
        for path in sorted((data / task).glob("dev-*")):
            language = path.name.partition(".")[0].removeprefix("dev-")
            lines = [line.rpartition("\t")[2].strip() for line in text_of(path).split("\n") if line.strip()]
            put(task, language, "tsv", *line_files(random.Random(f"{task}{language}"), lines[:most], kinds))
    named = {one.laser: code for code, one in languages().items()}
    for path in sorted((data / "tatoeba").glob("*.eng")):
        english = path.read_text(encoding="utf-8").split("\n")[:-1][:most]
        rows = [str(row) for _, row in sorted((text.strip(), row) for row, text in enumerate(english))]
        language = named[path.name.split(".")[1].removesuffix("-eng")]
        put("tatoeba", language, "tsv", *line_files(random.Random(f"tatoeba{language}"), rows, rows))
    for path in sorted((data / "xcopa" / "data").glob("*/test.*.jsonl*")):
        language = path.parent.name
        chance = random.Random(f"xcopa{language}")
        gold = [json.loads(line) for line in text_of(path).splitlines()[:most]]
        given = [{"label": chance.choice([row["label"], 0, 1, 1.0, True, "1", None])} for row in gold]
        put("xcopa", language, "jsonl", *("".join(json.dumps(row) + "\n" for row in side) for side in (gold, given)))
    for task, where in (("panx", "panx"), ("udpos", "udpos/xtreme_ud2.5")):
        for path in sorted((data / where).glob("dev-*")):
            language = path.name.partition(".")[0].removeprefix("dev-")
            put(task, language, "tsv", *tag_files(random.Random(f"{task}{language}"), gold_tags(path, most)))
    for path in sorted((data / "udpos" / "ud").glob("*/*-ud-*.conllu*")):
        # The languages whose files in XTREME's format are not at hand.
        language = path.name.partition("_")[0]
        if ("udpos", language) not in cells:
            put("udpos", language, "tsv", *tag_files(random.Random(f"udpos{language}"), conllu_tags(path)[:most]))
    for task, paths in (
        ("xquad", (data / "xquad").glob("xquad.*.json*")),
        ("mlqa", (data / "mlqa" / "MLQA_V1" / "dev").glob("*.json*")),
        ("tydiqa", (data / "tydiqa").glob("*.json*")),
    ):
        for path in sorted(paths):
            language = path.name.split(".")[{"xquad": 1, "mlqa": 0, "tydiqa": 2}[task]][-2:]
            put(task, language, "json", *answer_files(random.Random(f"{task}{language}"), text_of(path), most))
    gold = text_of(data / "bucc2018" / "zh-en.dev.gold").splitlines()[:most]
    put("bucc2018", "zh", "tsv", *pair_files(random.Random("bucc2018"), gold))
    for language in ("ar", "ja", "en"):
        put("mewslix", language, "json", *ranking_files(random.Random(f"mewslix{language}"), min(most, 1500)))
    return cells


def conllu_tags(path):
    """UPOS of the syntactic words of each sentence."""
    rows = [[line.split("\t") for line in block.splitlines()] for block in text_of(path).split("\n\n")]
    return [tags for block in rows if (tags := [row[3] for row in block if len(row) == 10 and row[0].isdigit()])]


def line_files(chance, gold, kinds):
    """A label per line, with white space around it that does not count and characters that do."""

    def disturbed(label):
        blank = chance.choice(BLANKS)
        wrong = [
            chance.choice(kinds),
            "",
            label.upper(),
            full_width(label),
            f"0{label}",
            f"{label}.",
            noise_line(chance),
        ]
        given = label if chance.random() < 0.5 else chance.choice(wrong)
        return f"{blank}{given}{chance.choice(BLANKS)}"

    marks = ["\ufeff" if chance.random() < 0.2 else "" for _ in range(2)]
    ends = [chance.choice(LINE_ENDS) for _ in range(2)]
    sides = [gold, [disturbed(label) for label in gold]]
    return [mark + end.join(side) + end for mark, end, side in zip(marks, ends, sides, strict=True)]


def noise_line(chance):
    return "".join(character for character in noise(chance) if character not in "\n\r")


def tag_files(chance, gold):
    """Tags with some replaced, also by tags that no tagger has; empty sentences; no blank line at the end of some."""
    kinds = sorted({tag for tags in gold for tag in tags})
    gold = [tags for sentence in gold for tags in ([sentence, []] if chance.random() < 0.02 else [sentence])]

    def disturbed(tag):
        number = chance.random()
        if number < 0.8:
            return tag
        return chance.choice(kinds) if number < 0.97 else chance.choice([*ODD_TAGS, full_width(tag), tag.lower()])

    given = [[disturbed(tag) for tag in tags] for tags in gold]
    ends = [chance.choice(LINE_ENDS) for _ in range(2)]
    texts = ["".join("".join(tag + end for tag in tags) + end for tags in side) for side, end in zip((gold, given), ends, strict=True)]  # fmt: skip
    return [text[: -len(end)] if gold[-1] and chance.random() < 0.3 else text for text, end in zip(texts, ends, strict=True)]  # fmt: skip


def answer_files(chance, text, most):
    """Hostile answers, some questions left out, some made up, some gold answers disturbed too."""
    articles = json.loads(text)["data"]
    every = [qa for article in articles for paragraph in article["paragraphs"] for qa in paragraph["qas"]][:most]
    texts = [answer["text"] for qa in every for answer in qa["answers"]]
    given = {}
    for qa in every:
        if chance.random() < 0.97:
            given[qa["id"]] = hostile(chance, chance.choice(qa["answers"])["text"], chance.choice(texts))
        qa["answers"] = [
            {"text": hostile(chance, answer["text"], chance.choice(texts)) if chance.random() < 0.1 else answer["text"]}
            for answer in qa["answers"]
        ]
    given["nobody asked"] = "the"
    labels = {"version": "1.1", "data": [{"paragraphs": [{"qas": every}]}]}
    return [json.dumps(side, ensure_ascii=chance.random() < 0.5) for side in (labels, given)]


def pair_files(chance, gold):
    """Pairs, some swapped, doubled, cut short or with a third column, and a blank line in each file."""
    given = []
    for pair in gold:
        left, right = pair.split("\t")
        wrong = [
            f"{right}\t{left}",
            left,
            f"{pair}\t1.0",
            f"{left} {right}",
            f"{left}\t{full_width(right)}",
            f" {pair} ",
        ]
        given += [pair if chance.random() < 0.6 else chance.choice(wrong)] * chance.choice([0, 1, 1, 2])
    return ["\n".join([*side, "", ""]) for side in (gold, given)]


def ranking_files(chance, count):
    """Lists of entities: too long, empty, missing, with repetitions, numbers and blanks; a text instead of a list."""
    names = [f"Q{number}" for number in range(60)]
    gold = {f"m{number}": [chance.choice(names) + chance.choice(["", "", " "])] for number in range(count)}
    given = {}
    for mention in gold:
        row = [chance.choice([*names, 7, None, "Q1 "]) for _ in range(chance.randrange(50))]
        if chance.random() < 0.95:
            given[mention] = row if chance.random() < 0.95 else "Q1"
    given["unknown"] = names
    return [json.dumps(side) for side in (gold, given)]
