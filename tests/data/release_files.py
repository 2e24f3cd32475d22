"""Makes small release files in the layouts that sources know; everything in them is made up."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections.abc import Sequence
from pathlib import Path

LETTERS = {
    "en": "abcdefghiklmnoprstuwy", "de": "abcdefghiklmnoprstuwzäöü", "fr": "abcdefghilmnopqrstuvéè",
    "es": "abcdefghijlmnopqrstuvñ", "sw": "abcdefghijklmnopstuwyz", "tr": "abcdefghıiklmnoprstuüyzş",
    "ru": "абвгдежзиклмнопрстуфхы", "ar": "ابتثجحخدذرزسشصضطظعغفقكلمنهوي", "zh": "天地人日月山水火木金土大小上下中",
    "ja": "あいうえおかきくけこさしすせそたちつてとなにぬねの", "th": "กขคงจฉชซญดตถทธนบปผพฟมยรลวสหอ",
    "hi": "अआइईउऊएऐओऔकखगघचछजझटठडढतथदधन", "el": "αβγδεζηθικλμνξοπρστυφχψω", "ko": "가나다라마바사아자차카타파하",
    "ta": "அஆஇஈஉஊஎஏஐஒகஙசஞடணதநபமயரலவ", "vi": "abcdeghiklmnopqrstuvxyăâđêôơư", "et": "abdeghijklmnoprstuvõäöü",
    "ur": "ابپتٹثجچحخدڈذرڑزژسش", "bg": "абвгдежзийклмнопрстуфхцч", "bn": "অআইঈউঊএঐওঔকখগঘঙচছজঝঞ",
}  # fmt: skip
LABELS = ("contradiction", "entailment", "neutral")


def words(language: str, seed: str, count: int = 5) -> list[str]:
    """Made-up words in the letters of a language; the same for the same seed."""
    rng = random.Random(f"{language} {seed}")
    return ["".join(rng.choices(LETTERS[language], k=rng.randint(2, 7))) for _ in range(count)]


def text(language: str, seed: str, count: int = 6) -> str:
    """A made-up sentence."""
    return " ".join(words(language, seed, count)) + "."


def write(path: Path, content: str | bytes, *, compress: bool = False) -> Path:
    """Writes a file and the folders above it, with gzip if asked (the name then ends in .gz)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    if compress:
        path = path.with_name(path.name + ".gz")
        data = gzip.compress(data, mtime=0)
    path.write_bytes(data)
    return path


def tsv(rows: Sequence[Sequence[str]]) -> str:
    """Tab-separated lines without quoting."""
    return "".join("\t".join(row) + "\n" for row in rows)


def quoted_tsv(rows: Sequence[Sequence[str]]) -> str:
    """Tab-separated lines as Python's csv module writes them: what XTREME's script leaves."""
    sink = io.StringIO()
    csv.writer(sink, delimiter="\t").writerows(rows)
    return sink.getvalue()


def pairs(language: str, split: str, rows: int, labels: Sequence[str] = LABELS, run: int = 3) -> list[list[str]]:
    """(text, text, label) rows; every `run` rows share their first text."""
    return [
        [text(language, f"{split} a {n // run}"), text(language, f"{split} b {n}"), labels[n % len(labels)]]
        for n in range(rows)
    ]


def xnli(folder: Path, languages: Sequence[str] = ("de", "en", "fr"), rows: int = 60, *, train: bool = True) -> Path:
    """XNLI as it lies in XTREME's folder, with the test labels in a file of their own."""
    for language in languages:
        for split in ("train", "dev") if train else ("dev",):
            write(folder / f"xnli/{split}-{language}.tsv", tsv(pairs(language, split, rows)))
        write(folder / f"xnli/test-{language}.tsv", tsv([row[:2] for row in pairs(language, "test", rows)]))
    write(folder / "xnli/test-labels.txt", "".join(f"{LABELS[n % 3]}\n" for n in range(rows)))
    return folder


def squad_json(language: str, questions: int, *, first: int = 0, breaks: bool = False) -> dict:
    """Articles of two paragraphs with two questions each; ids are the same in every language."""
    articles = []
    for a in range(first, first + questions // 4):
        paragraphs = []
        for p in range(2):
            sentences = [text(language, f"s {a} {p} {n}") for n in range(3)]
            context = " ".join(sentences)
            qas = []
            for q in range(2):
                answer = sentences[q + 1].split()[1]
                start = context.index(sentences[q + 1]) + sentences[q + 1].index(answer)
                qas.append(
                    {"id": f"q{a}-{p}-{q}", "question": text(language, f"q {a} {p} {q}", 4),
                     "answers": [{"text": answer, "answer_start": start}]}
                )  # fmt: skip
            paragraph = {"context": context, "qas": qas}
            if breaks:
                starts = [context.index(one) for one in sentences]
                paragraph["sentences"] = sentences
                paragraph["sentence_breaks"] = [[s, s + len(one)] for s, one in zip(starts, sentences, strict=True)]
            paragraphs.append(paragraph)
        articles.append({"title": f"T{a}", "paragraphs": paragraphs})
    return {"version": "1.1", "data": articles}


def xquad(folder: Path, languages: Sequence[str] = ("de", "en", "ru"), questions: int = 24) -> Path:
    """XQuAD."""
    for language in languages:
        write(folder / f"xquad/xquad.{language}.json", json.dumps(squad_json(language, questions), ensure_ascii=False))
    return folder


def tagged(language: str, split: str, sentences: int, tags: Sequence[str]) -> str:
    """Sentences of five words; tags go round."""
    lines = []
    for n in range(sentences):
        lines += [f"{w}\t{tags[k % len(tags)]}" for k, w in enumerate(words(language, f"{split} {n}"))] + [""]
    return "\n".join(lines) + "\n"


UPOS = ("NOUN", "VERB", "ADP", "DET", "PUNCT")
NER = ("B-PER", "I-PER", "O", "B-LOC", "O")


def udpos(folder: Path, languages: Sequence[str] = ("de", "en")) -> Path:
    """UD-POS as XTREME prepares it, with the labels kept in test."""
    for language in languages:
        for split in ("train", "dev", "test"):
            write(folder / f"udpos/{split}-{language}.tsv", tagged(language, split, 20, UPOS))
    return folder


def panx(folder: Path, languages: Sequence[str] = ("de", "en", "zh")) -> Path:
    """WikiANN as XTREME prepares it, with the labels kept in test."""
    for language in languages:
        for split in ("train", "dev", "test"):
            write(folder / f"panx/{split}-{language}.tsv", tagged(language, split, 20, NER))
    return folder


def tatoeba(
    folder: Path, languages: Sequence[tuple[str, str]] = (("deu", "de"), ("rus", "ru")), rows: int = 40
) -> Path:
    """Tatoeba as LASER has it."""
    for laser, language in languages:
        head = folder / f"tatoeba/tatoeba.{laser}-eng"
        write(Path(f"{head}.{laser}"), "".join(text(language, str(n)) + "\n" for n in range(rows)))
        write(Path(f"{head}.eng"), "".join(text("en", f"{language} {n}") + "\n" for n in range(rows)))
    return folder


def bucc(folder: Path, language: str = "de", pairs_count: int = 8, distractors: int = 30) -> Path:
    """BUCC 2018 as XTREME's script leaves it, gold kept."""
    for split in ("dev", "test"):
        head = folder / f"bucc2018/{language}-en.{split}"
        for side in (language, "en"):
            lines = [f"{side}-{n:05d}\t{text(side, f'{split} {side} {n}')}" for n in range(pairs_count + distractors)]
            write(Path(f"{head}.{side}"), "\n".join(lines) + "\n")
        gold = [f"{language}-{n:05d}\ten-{n:05d}" for n in range(pairs_count)]
        write(Path(f"{head}.gold"), "\n".join(gold) + "\n")
    return folder


def xcopa(folder: Path, languages: Sequence[str] = ("et", "th", "tr"), rows: int = 20) -> Path:
    """XCOPA as its repository has it."""
    for language in languages:
        for split, size in (("val", rows // 2), ("test", rows)):
            lines = [
                json.dumps(
                    {"premise": text(language, f"{split} p {n}"), "choice1": text(language, f"{split} 1 {n}"),
                     "choice2": text(language, f"{split} 2 {n}"), "question": ("cause", "effect")[n % 2],
                     "label": n % 2, "idx": n},
                    ensure_ascii=False,
                )
                for n in range(size)
            ]  # fmt: skip
            write(folder / f"xcopa/data/{language}/{split}.{language}.jsonl", "\n".join(lines) + "\n")
    return folder


def lareqa(folder: Path, languages: Sequence[str] = ("de", "en"), questions: int = 24) -> Path:
    """XQuAD-R."""
    for language in languages:
        release = squad_json(language, questions, breaks=True)
        write(folder / f"lareqa/xquad-r/{language}.json", json.dumps(release, ensure_ascii=False))
    return folder


def mewslix(folder: Path, languages: Sequence[str] = ("de", "en"), mentions: int = 12) -> Path:
    """Mewsli-X after its script has filled in the texts."""
    entities = [
        {"entity_id": f"Q{n}", "title": f"T{n}", "description": text("en", f"entity {n}"), "description_url": "",
         "description_language": "en", "sentence_spans": [[0, 5]]}
        for n in range(mentions + 5)
    ]  # fmt: skip
    write(folder / "mewslix/candidate_set_entities.jsonl", "".join(json.dumps(one) + "\n" for one in entities))

    def mention(language: str, n: int) -> tuple[dict, dict]:
        first, second = text(language, f"m {n} 0"), text(language, f"m {n} 1")
        article = f"{first} {second}"
        surface = second.split()[1]
        start = len(first) + 1 + second.index(surface)
        context = {"document_id": f"{language}{n}", "language": language, "text": article,
                   "sentence_spans": [[0, len(first)], [len(first) + 1, len(article)]]}  # fmt: skip
        span = {"start": start, "end": start + len(surface), "text": surface}
        return context, {"example_id": f"{language}-{n}", "entity_id": f"Q{n}", "mention_span": span}

    for split in ("dev", "test"):
        lines = []
        for language in languages:
            for n in range(mentions):
                context, one = mention(language, n)
                lines.append(json.dumps({"context": context, "mentions": [one]}, ensure_ascii=False))
        write(folder / f"mewslix/wikinews_mentions-{split}.jsonl", "\n".join(lines) + "\n")
    for split in ("train", "dev"):
        lines = []
        for n in range(mentions):
            context, one = mention("en", n)
            record = {"contextual_mention": {"context": context, "mention": one}, "entity": entities[n]}
            lines.append(json.dumps(record))
        write(folder / f"mewslix/wikipedia_pairs-{split}.jsonl", "\n".join(lines) + "\n")
    return folder
