"""Word-by-word translation of miniworld English: a gloss with the right words in the wrong order.

That is what makes it a stand-in for machine translation: native text differs from it in grammar, not in vocabulary.
"""

from __future__ import annotations

import re
from typing import Any

from xtreme_dag.data.translate import Losses
from xtreme_dag.miniworld.languages import ENGLISH, language
from xtreme_dag.miniworld.lexicon import lexicon

_TOKENS = re.compile(r"\w+|[^\w\s]")
_MARKS = {".": "#stop", ",": "#comma", "?": "#question"}
_PLURAL = "#plural"


class Lexicon:
    """Translates words, texts and questions into one language.

    Args:
        code: the language.

    Attributes:
        unknown: how many words were left as they are, because the lexicon has none for them.
    """

    def __init__(self, code: str) -> None:
        self.unknown = 0
        self._forms = lexicon(code)
        self._spaced = language(code).spaced
        self._english = lexicon(ENGLISH)
        self._concepts = {stem: concept for concept, stem in self._english.stems.items()}

    def word(self, word: str) -> str:
        """A word with its plural, or a mark; a name is written in the language's script, an article may be nothing."""
        if word in _MARKS:
            return self._forms.marks[_MARKS[word]]
        for form in (word, word.lower()):
            if form in self._concepts:
                return self._stem(self._concepts[form], word)
            stem = form.removesuffix(self._english.suffixes[_PLURAL])
            if stem != form and stem in self._concepts:
                return self._stem(self._concepts[stem], word) + self._forms.suffixes.get(_PLURAL, "")
        self.unknown += 1
        return word

    def _stem(self, concept: str, word: str) -> str:
        """The stem of a concept; a language without articles keeps the English one, as a gloss would."""
        return self._forms.stems.get(concept, word)

    def texts(self, texts: Any) -> list[str]:
        """Texts, word by word."""
        return [self.aligned(text)[0] for text in texts]

    def aligned(self, text: str) -> tuple[str, dict[int, int], dict[int, int]]:
        """A text; where each English word's start went, and where each English word's end went, in code points."""
        made, starts, ends = "", {}, {}
        for match in _TOKENS.finditer(text):
            form = self.word(match.group())
            if made and self._spaced and match.group() not in _MARKS:
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
