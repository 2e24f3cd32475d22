"""Tables of the miniworld, word by word: the right words in the source's order, a stand-in for machine translation."""

from __future__ import annotations

import re
from typing import Any

from xtreme_dag.catalogue.miniworld_languages import language_of
from xtreme_dag.core.english import ENGLISH
from xtreme_dag.data.derive.losses import Losses
from xtreme_dag.miniworld.lexicon import lexicon
from xtreme_dag.miniworld.translate import analyses, translate_words

_ENGLISH_TOKENS = re.compile(r"\w+|[^\w\s]")


class Lexicon:
    """Translates words, texts and questions into one language.

    Args:
        code: the language.
        source: the language that is translated.

    Attributes:
        unknown: how many words were left as they are, because the lexicon has none for them.
    """

    def __init__(self, code: str, *, source: str = ENGLISH) -> None:
        self.unknown = 0
        self._code = code
        self._source = source
        self._known = analyses(source)
        self._tokens = _tokens(source)
        self._spaced = language_of(code).spaced
        self._marks = frozenset(lexicon(code).marks.values())

    def word(self, word: str) -> str:
        """A word or mark; empty where the language has no such word (articles)."""
        for form in (word, word.lower()):
            if form in self._known:
                return translate_words([form], self._source, self._code)[0]
        self.unknown += 1
        return word

    def sentences(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Rows of tagging: words with their tags; what the language has no word for goes with its tag."""
        made = []
        for row in rows:
            pairs = [(self.word(word), tag) for word, tag in zip(row["words"], row["tags"], strict=True)]
            kept = [pair for pair in pairs if pair[0]]
            made.append({**row, "words": [word for word, _ in kept], "tags": [tag for _, tag in kept]})
        return made

    def texts(self, texts: Any) -> list[str]:
        """Texts, word by word."""
        return [self.aligned(text)[0] for text in texts]

    def aligned(self, text: str) -> tuple[str, dict[int, int], dict[int, int]]:
        """A text; where the start and where the end of each word went, in code points."""
        made, starts, ends = "", {}, {}
        for match in self._tokens.finditer(text):
            form = self.word(match.group())
            if not form:
                continue
            if made and self._spaced and form not in self._marks:
                made += " "
            starts[match.start()], made = len(made), made + form
            ends[match.end()] = len(made)
        return made, starts, ends

    def questions(self, rows: list[dict[str, Any]], losses: Losses) -> list[dict[str, Any]]:
        """Rows of span_qa; an answer goes where its words went, one that cuts a word is lost."""
        kept = []
        for row in rows:
            context, starts, ends = self.aligned(row["context"])
            answers = []
            for answer in row["answers"]:
                low, high = starts.get(answer["start"]), ends.get(answer["start"] + len(answer["text"]))
                if low is not None and high is not None:
                    answers.append({"text": context[low:high], "start": low})
            if row["answers"] and not answers:
                losses.add("the answer cuts a word", row["id"])
                continue
            texts = dict(zip(("title", "question"), self.texts((row["title"], row["question"])), strict=True))
            kept.append({**row, **texts, "context": context, "answers": answers})
        return kept


def _tokens(code: str) -> re.Pattern[str]:
    """What finds the words and marks of a text; an unspaced language is cut at its own words, the longest first."""
    if code == ENGLISH:
        return _ENGLISH_TOKENS
    if not language_of(code).spaced:
        return re.compile("|".join([*map(re.escape, sorted(analyses(code), key=len, reverse=True)), r"\S"]))
    marks = "".join(map(re.escape, lexicon(code).marks.values()))
    return re.compile(rf"[{marks}]|[^\s{marks}]+")  # vowel signs of Devanagari are no letters to `\w`
