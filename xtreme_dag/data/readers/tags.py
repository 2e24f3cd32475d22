"""Tagged words: XTREME's two-column files, CoNLL-U in either tokenisation, CCG supertags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from xtreme_dag.data.readers.files import Chunk, Place, lines
from xtreme_dag.data.readers.pairs import Files, Options

SENTENCES = 16_384  # sentences in a chunk
WITHHELD = "withheld_words"  # why a sentence is left out
_MISSING_LINE = (
    "an empty line between two sentences is missing; put it in, or take a release of the treebank that has it"
)

# XTREME's ranking of the parts of a multiword token whose heads are equally high (ud-conversion-tools,
# conllu_to_conll.py): the first in the list gives its tag.
_RANKS = {
    "default": ["VERB", "NOUN", "PROPN", "PRON", "ADJ", "NUM", "ADV", "INTJ", "AUX", "ADP", "DET", "PART", "CCONJ",
                "SCONJ", "X", "PUNCT"],
    "es": ["VERB", "AUX", "PRON", "ADP", "DET"],
    "fr": ["VERB", "AUX", "PRON", "NOUN", "ADJ", "ADV", "ADP", "DET", "PART", "SCONJ", "CONJ"],
    "it": ["VERB", "AUX", "ADV", "PRON", "ADP", "DET", "INTJ"],
}  # fmt: skip

Sentence = tuple[list[str], list[str]]


def read_tags(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """Word TAB tag, an empty line between sentences. XTREME's test files have no tag: the tags are then empty.

    `options`: `prefix`: words begin with `xx:` (WikiANN as released), which is removed.
    """
    for path in files.values():
        yield from _chunks(_two_columns(path, options, place), path)


def read_conllu(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """CoNLL-U; several treebanks are concatenated in the order of their names.

    `options["tokens"]`: `words` takes the syntactic words; `surface` takes the tokens as written: a multiword token is
    one word, tagged as its part that is highest in the tree, at a tie by `_RANKS`; zero-width non-joiners and spaces
    inside tokens are removed, as XTREME's preparation does. Empty nodes (ids with a dot) are in neither. Sentences
    whose words are withheld (`_withheld`) are left out of both and counted.

    Raises:
        UserError: other than ten columns, or the ids of a sentence do not count up from 1: an empty line is missing.
    """
    surface = options["tokens"] == "surface"
    for path in files.values():
        left_out: list[str] = []
        for chunk in _chunks(_treebank(path, place, left_out, surface=surface), path):
            yield replace(chunk, left_out={WITHHELD: tuple(left_out)} if left_out else {})
            left_out.clear()


def read_ccg(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """CCG supertags: one sentence a line, word|POS|category separated by blanks."""
    for path in files.values():
        for first, found in lines(path, place):
            words, tags, at = [], [], []
            for number, line in enumerate(found, start=first):
                parts = [token.rsplit("|", 2) for token in line.split()]
                if any(len(part) != 3 for part in parts):
                    raise place.error("a token that is not word|POS|category", path, number)
                if parts:
                    words.append([part[0] for part in parts])
                    tags.append([part[2] for part in parts])
                    at.append(number)
            yield Chunk(columns={"words": words, "tags": tags}, file=path, lines=at)


def _chunks(sentences: Iterator[tuple[int, Sentence]], path: Path) -> Iterator[Chunk]:
    words: list[list[str]] = []
    tags: list[list[str]] = []
    at: list[int] = []
    for number, sentence in sentences:
        words.append(sentence[0])
        tags.append(sentence[1])
        at.append(number)
        if len(at) == SENTENCES:
            yield Chunk(columns={"words": words, "tags": tags}, file=path, lines=at)
            words, tags, at = [], [], []
    yield Chunk(columns={"words": words, "tags": tags}, file=path, lines=at)


def _two_columns(path: Path, options: Options, place: Place) -> Iterator[tuple[int, Sentence]]:
    prefix = bool(options.get("prefix"))
    words: list[str] = []
    tags: list[str] = []
    start = 1
    for first, found in lines(path, place):
        for number, line in enumerate(found, start=first):
            if not line.strip():
                if words:
                    yield start, (words, tags)
                    words, tags = [], []
                continue
            if not words:
                start = number
            word, _, tag = line.partition("\t")
            if "\t" in tag:
                raise place.error(f"{line.count(chr(9)) + 1} columns instead of 2", path, number)
            words.append(word.partition(":")[2] if prefix else word)
            if tag:
                tags.append(tag.strip())
    if words:
        yield start, (words, tags)


def _treebank(path: Path, place: Place, left_out: list[str], *, surface: bool) -> Iterator[tuple[int, Sentence]]:
    """The sentences of a treebank, each with its first line; where those stand that are withheld goes to `left_out`."""
    for start, rows in _blocks(path, place):
        tokens = _sentence(rows, path, place, start, surface=True)
        if _withheld(tokens[0], surface=surface):
            left_out.append(f"{path.name}, line {start}")
        else:
            yield start, tokens if surface else _sentence(rows, path, place, start, surface=False)


def _blocks(path: Path, place: Place) -> Iterator[tuple[int, list[list[str]]]]:
    """The rows of each sentence, with the number of its first line."""
    rows: list[list[str]] = []
    start, last = 1, 0  # first line and last word of the sentence
    for first, found in lines(path, place):
        for number, line in enumerate(found, start=first):
            if not line:
                if last:
                    yield start, rows
                rows, last = [], 0
            elif not line.startswith("#"):
                row = line.split("\t")
                if len(row) != 10:
                    raise place.error(f"{len(row)} columns instead of 10", path, number)
                if not rows:
                    start = number
                if "." not in row[0]:
                    word, dash, _ = row[0].partition("-")
                    if word != str(last + 1):
                        raise place.error(_out_of_order(row[0], last), path, number, fix=_MISSING_LINE)
                    last += not dash
                rows.append(row)
    if last:
        yield start, rows


def _out_of_order(name: str, last: int) -> str:
    again = "starts again" if name.partition("-")[0] == "1" else f"where {last + 1} should stand"
    return f"word id {name} {again} after {last}"


def _withheld(tokens: Sequence[str], *, surface: bool) -> bool:
    """Whether the text of a sentence is held back for its licence: its tokens as written are then `_`.

    XTREME leaves out a sentence if at most one token is not `_`. Where syntactic words are taken, it is left out too if
    most are: some treebanks hold back all but their multiword tokens.
    """
    held = tokens.count("_")
    return held > 0 and (held >= len(tokens) - 1 or (not surface and 2 * held > len(tokens)))


def _sentence(rows: Sequence[Sequence[str]], path: Path, place: Place, start: int, *, surface: bool) -> Sentence:
    nodes = {row[0]: row for row in rows if row[0].isdigit()}
    if not surface:
        return [row[1] for row in nodes.values()], [row[3] for row in nodes.values()]
    words: list[str] = []
    tags: list[str] = []
    inside: set[str] = set()
    for row in rows:
        name = row[0]
        if name.isdigit():
            if name in inside:
                continue
            words.append(row[1])
            tags.append(row[3])
        elif "-" in name:
            low, _, high = name.partition("-")
            last = int(high) if high.isdecimal() and len(high) < 10 else len(nodes) + 1
            parts = [str(n) for n in range(int(low), min(last, len(nodes) + 1) + 1)]
            if any(part not in nodes for part in parts):
                raise place.error(f"multiword token {name} has parts that are not there", path, start)
            inside.update(parts)
            words.append(row[1])
            tags.append(_fused_tag(parts, nodes, place.language))
    return [word.replace("\u200c", "").replace(" ", "") for word in words], tags


def _fused_tag(parts: Sequence[str], nodes: dict[str, Sequence[str]], language: str) -> str:
    """The tag of a multiword token: that of its highest part, at a tie the best ranked."""
    depths = {part: _depth(part, nodes) for part in parts}
    top = min(depths.values())
    highest = [nodes[part][3] for part in parts if depths[part] == top]
    ranks = _RANKS.get(language, _RANKS["default"])
    return min(highest, key=lambda tag: ranks.index(tag) if tag in ranks else len(ranks))


def _depth(node: str, nodes: dict[str, Sequence[str]]) -> int:
    """Number of heads between a node and the root; a cycle counts its nodes once."""
    seen = set()
    while node in nodes and node not in seen:
        seen.add(node)
        node = nodes[node][6]
    return len(seen)
