"""Questions and answers through a translator that keeps no alignment: the answer is found again, or lost."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from xtreme_dag.data.derive.losses import Losses, Translate, translated_once

# A paragraph is translated sentence by sentence: translators are trained on sentences, and cut off what is longer.
_SENTENCE = re.compile(r"(?<=[.!?。।؟])\s+")


def answered_rows(rows: list[dict[str, Any]], translate: Translate, losses: Losses) -> list[dict[str, Any]]:
    """Rows of span_qa with their texts translated and their answers found again.

    An answer is translated on its own and looked for in the translation of the sentence that held it: as it is, then
    with case, marks and spaces folded. Where it occurs more than once, the occurrence nearest to where the original
    stood (as a share of the sentence) is taken. A question that loses all its answers is left out; an unanswerable
    question stays.
    """
    sentences = {row["id"]: _sentences(row["context"]) for row in rows}
    texts = dict.fromkeys(text for parts in sentences.values() for _, text in parts)
    texts |= dict.fromkeys(text for row in rows for text in (row["title"], row["question"]) if text)
    texts |= dict.fromkeys(answer["text"] for row in rows for answer in row["answers"])
    found = translated_once([text for text in texts if text], translate)
    kept = []
    for row in rows:
        context, places = _joined(sentences[row["id"]], found)
        answers = [moved for answer in row["answers"] if (moved := _moved(answer, sentences[row["id"]], places, found))]
        if row["answers"] and not answers:
            losses.add(_reason(row, sentences[row["id"]]), row["id"])
            continue
        head = {name: found.get(row[name], row[name]) for name in ("title", "question")}
        kept.append({**row, **head, "context": context, "answers": answers})
    return kept


def _sentences(context: str) -> list[tuple[int, str]]:
    """(start, text) of the sentences of a paragraph."""
    found, low = [], 0
    for match in _SENTENCE.finditer(context):
        found.append((low, context[low : match.start()]))
        low = match.end()
    return [(start, text) for start, text in [*found, (low, context[low:])] if text]


def _joined(parts: list[tuple[int, str]], found: dict[str, str]) -> tuple[str, list[tuple[int, str]]]:
    """The translated paragraph, and (start, text) of its sentences."""
    context, places = "", []
    for _, text in parts:
        context += " " if context else ""
        places.append((len(context), found[text]))
        context += found[text]
    return context, places


def _moved(
    answer: dict[str, Any], parts: list[tuple[int, str]], places: list[tuple[int, str]], found: dict[str, str]
) -> dict[str, Any] | None:
    """The answer in the translated paragraph, or None."""
    number = _holding(answer, parts)
    wanted = found[answer["text"]].strip()
    if number is None or not wanted:
        return None
    low, sentence = places[number]
    share = (answer["start"] - parts[number][0]) / max(1, len(parts[number][1]))
    span = nearest_occurrence(sentence, wanted, share)
    if span is None:
        return None
    return {"text": sentence[span[0] : span[1]], "start": low + span[0]}


def _holding(answer: dict[str, Any], parts: list[tuple[int, str]]) -> int | None:
    """The sentence that holds an answer, or None where it crosses two."""
    for number, (start, text) in enumerate(parts):
        if start <= answer["start"] and answer["start"] + len(answer["text"]) <= start + len(text):
            return number
    return None


def _reason(row: dict[str, Any], parts: list[tuple[int, str]]) -> str:
    inside = any(_holding(answer, parts) is not None for answer in row["answers"])
    return "the translated answer is not in the translated sentence" if inside else "the answer crosses two sentences"


def nearest_occurrence(text: str, wanted: str, share: float) -> tuple[int, int] | None:
    """Start and end in `text` of the occurrence of `wanted` nearest to a share of the text, or None.

    Looked for as it is first, then with case, marks and spaces folded.
    """
    exact = [(match.start(), match.end()) for match in re.finditer(re.escape(wanted), text)]
    spans = exact or _folded_occurrences(text, wanted)
    return min(spans, key=lambda span: abs(span[0] / max(1, len(text)) - share)) if spans else None


def _folded_occurrences(text: str, wanted: str) -> list[tuple[int, int]]:
    haystack, places = _folded(text)
    needle, _ = _folded(wanted)
    if not needle:
        return []
    starts = [match.start() for match in re.finditer(f"(?={re.escape(needle)})", haystack)]
    return [(places[start], places[start + len(needle) - 1] + 1) for start in starts]


def _folded(text: str) -> tuple[str, Sequence[int]]:
    """Letters and digits of a text in lower case, and the place of each."""
    letters, places = [], []
    for place, character in enumerate(text):
        for letter in unicodedata.normalize("NFKC", character).casefold():
            if letter.isalnum() or unicodedata.category(letter).startswith("M"):
                letters.append(letter)
                places.append(place)
    return "".join(letters), places
