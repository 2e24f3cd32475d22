"""Two-sided pools: bitext mining, answer sentences, entities."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from xtreme_dag.data.readers.files import Chunk, Place, lines
from xtreme_dag.data.readers.pairs import Files, Options, json_lines
from xtreme_dag.data.readers.squad import articles, context_of, contexts, listed, need

Span = tuple[int, int, str]  # start and end in the context, and the sentence

# A sentence ends at a full stop, question or exclamation mark, with closing quotes or brackets, before white space and
# a capital, a digit or an opening quote. SQuAD train has no sentence breaks; LAReQA's authors cut it by rule as well.
_BREAK = re.compile(r"(?<=[.?!])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[A-Z0-9])")


def read_bucc(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """BUCC 2018: two pools of id TAB sentence, roles `text` and `english`, and pairs of ids, role `gold`.

    Without `gold` (the test part of XTREME's folder) no row has gold. The pools hold the distractors; the gold pairs
    alone, which the hub has, are no mining task. `options["part_pool"]`, `{of: n, keep: [...]}`: a share of the pools in
    which gold pairs stay together.
    """
    foreign, english = _pool(files["text"], place), _pool(files["english"], place)
    pairs = _pairs(files["gold"], place) if "gold" in files else []
    gold: dict[str, list[str]] = {}
    for left, right in pairs:
        for name, pool, file in ((left, foreign, files["text"]), (right, english, files["english"])):
            if name not in pool:
                raise place.error(f"gold id {name!r} is not in {file.name}", files["gold"])
        gold.setdefault(left, []).append(right)
        gold.setdefault(right, []).append(left)
    if "part_pool" in options:
        foreign, english = (_share(pool, gold, options["part_pool"]) for pool in (foreign, english))
    there = {*foreign, *english}
    for side, pool, file in (("foreign", foreign, files["text"]), ("english", english, files["english"])):
        columns: dict[str, list[Any]] = {
            "id": list(pool),
            "side": [side] * len(pool),
            "text": list(pool.values()),
            "gold": [[other for other in gold.get(name, ()) if other in there] for name in pool],
        }
        yield Chunk(
            columns=columns, file=file, lines=range(1, len(pool) + 1), read=len(pairs) if side == "foreign" else 0
        )


def read_lareqa(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """XQuAD-R: questions, and every sentence of every paragraph as a candidate, in SQuAD's JSON with sentence breaks.

    A candidate is the sentence as the release gives it, which differs from the context at its breaks where the context
    is damaged (twice in Turkish). The right one is that in which the answer starts. Questions have the same id in every language; a
    candidate is called after its language and place, so that pools of several languages can be joined.
    """
    for path in files.values():
        yield _answers(path, place, _given_breaks)


def read_squad_retrieval(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """SQuAD as answer retrieval, cut into sentences by rule: what LAReQA's dual encoder is trained on.

    `options["ids"]` and role `ids` as in `read_squad`; a paragraph stays while one of its questions does.
    """
    keep = listed(files["ids"], options["ids"], place) if "ids" in files else None
    excluded = contexts(files["exclude"], place) if "exclude" in files else frozenset()
    yield _answers(files["table"], place, _rule_breaks, keep, excluded)


def read_mewslix(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """Mewsli-X: mentions in news of one language (role `mentions`), and the candidate entities (role `entities`).

    A mention's context is its sentence with the mention in braces, an entity's text is its description.
    """
    path = files["mentions"]
    for records, at in json_lines(path, place):
        columns = _two_sided()
        for record, line in zip(records, at, strict=True):
            if need(need(record, "context", path, place), "language", path, place) == place.language:
                for mention in need(record, "mentions", path, place):
                    _add_mention(columns, record["context"], mention, path, place, line)
        yield Chunk(columns=columns, file=path)
    path = files["entities"]
    for records, _ in json_lines(path, place):
        columns = _two_sided()
        for record in records:
            _add_entity(columns, record, path, place)
        yield Chunk(columns=columns, file=path, read=0)


def read_mewslix_pairs(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """Mewsli-X's pairs of a mention in Wikipedia and its entity; each entity is a candidate once."""
    path = files["pairs"]
    seen: set[str] = set()
    for records, at in json_lines(path, place):
        columns = _two_sided()
        for record, line in zip(records, at, strict=True):
            inside = need(record, "contextual_mention", path, place)
            context, mention = need(inside, "context", path, place), need(inside, "mention", path, place)
            _add_mention(columns, context, mention, path, place, line)
            entity = need(record, "entity", path, place)
            if (name := need(entity, "entity_id", path, place)) not in seen:
                seen.add(name)
                _add_entity(columns, entity, path, place)
        yield Chunk(columns=columns, file=path, read=len(records))


def _share(pool: Mapping[str, str], gold: Mapping[str, list[str]], part: Mapping[str, Any]) -> dict[str, str]:
    """The sentences of a share of a pool; a sentence goes where the first of its gold pair's two ids goes."""
    keys = {name: min([name, *gold.get(name, ())]) for name in pool}
    keep = frozenset(part["keep"])
    return {name: text for name, text in pool.items() if zlib.crc32(keys[name].encode()) % part["of"] in keep}


def _pool(path: Path, place: Place) -> dict[str, str]:
    pool: dict[str, str] = {}
    for number, line in _numbered(path, place):
        name, tab, text = line.partition("\t")
        if not tab:
            raise place.error("1 column instead of 2", path, number)
        if name in pool:
            raise place.error(f"id {name!r} occurs twice", path, number)
        pool[name] = text.strip()
    return pool


def _pairs(path: Path, place: Place) -> list[tuple[str, str]]:
    pairs = []
    for number, line in _numbered(path, place):
        if line.strip():
            parts = line.split("\t")
            if len(parts) != 2:
                raise place.error(f"{len(parts)} columns instead of 2", path, number)
            pairs.append((parts[0], parts[1]))
    return pairs


def _numbered(path: Path, place: Place) -> Iterator[tuple[int, str]]:
    return ((first + n, line) for first, found in lines(path, place) for n, line in enumerate(found))


def _two_sided() -> dict[str, list[Any]]:
    return {name: [] for name in ("id", "side", "text", "context", "gold")}


def _row(columns: dict[str, list[Any]], *values: Any) -> None:
    for name, value in zip(("id", "side", "text", "context", "gold"), values, strict=True):
        columns[name].append(value)


def _answers(
    path: Path,
    place: Place,
    breaks: Callable[[Mapping[str, Any], Path, Place], list[Span]],
    keep: frozenset[str] | None = None,
    excluded: frozenset[str] = frozenset(),
) -> Chunk:
    """Questions first, then candidates, of one file in SQuAD's JSON.

    A question whose answer is not where it says has no gold: the sentence there need not be the one that answers it.
    """
    questions, candidates = _two_sided(), _two_sided()
    read = 0
    for a, article in enumerate(articles(path, place)):
        for p, paragraph in enumerate(need(article, "paragraphs", path, place)):
            context = context_of(paragraph, path, place)
            qas = need(paragraph, "qas", path, place)
            read += len(qas)
            kept = [qa for qa in qas if keep is None or need(qa, "id", path, place) in keep]
            if context in excluded or (qas and not kept):
                continue
            spans = breaks(paragraph, path, place)
            for number, (_, _, sentence) in enumerate(spans):
                _row(candidates, f"{place.language}:{a}.{p}.{number}", "candidate", sentence, context, [])
            for qa in kept:
                answers = need(qa, "answers", path, place)
                at = _start(answers[0], context, path, place) if answers else -1
                gold = [f"{place.language}:{a}.{p}.{n}" for n, (start, end, _) in enumerate(spans) if start <= at < end]
                _row(questions, need(qa, "id", path, place), "question", need(qa, "question", path, place), None, gold)
    joined = {name: questions[name] + candidates[name] for name in questions}
    return Chunk(columns=joined, file=path, read=read)


def _start(answer: Mapping[str, Any], context: str, path: Path, place: Place) -> int:
    """Where an answer starts; -1 if it does not stand there."""
    at, text = need(answer, "answer_start", path, place), need(answer, "text", path, place)
    return at if at >= 0 and context.startswith(text, at) else -1


def _given_breaks(paragraph: Mapping[str, Any], path: Path, place: Place) -> list[Span]:
    breaks, sentences = (need(paragraph, name, path, place) for name in ("sentence_breaks", "sentences"))
    size = len(paragraph["context"])
    if len(breaks) != len(sentences):
        raise place.error(f"{len(breaks)} sentence breaks for {len(sentences)} sentences", path)
    if any(len(one) != 2 or not 0 <= one[0] < one[1] <= size for one in breaks):
        raise place.error("sentence breaks outside the context", path)
    return [(start, end, sentence) for (start, end), sentence in zip(breaks, sentences, strict=True)]


def _rule_breaks(paragraph: Mapping[str, Any], path: Path, place: Place) -> list[Span]:
    context = paragraph["context"]
    starts = [0, *(match.end() for match in _BREAK.finditer(context))]
    spans = zip(starts, [*starts[1:], len(context)], strict=True)
    return [(start, end, context[start:end].rstrip()) for start, end in spans if start < end]


def _add_mention(
    columns: dict[str, list[Any]], context: Mapping[str, Any], mention: Mapping[str, Any], path: Path, place: Place,
    line: int,
) -> None:  # fmt: skip
    text = need(context, "text", path, place)
    span = need(mention, "mention_span", path, place)
    start, end, surface = (need(span, name, path, place) for name in ("start", "end", "text"))
    if text[start:end] != surface:
        name = need(mention, "example_id", path, place)
        raise place.error(
            f"mention {surface!r} is not at its offset in the text", path, line, ids=[str(name)],
            fix="the release leaves the text out: run get-mewsli-x.sh, which fills it in" if not text else "",
        )  # fmt: skip
    low, high = next(
        ((low, high) for low, high in need(context, "sentence_spans", path, place) if low <= start < high),
        (0, len(text)),
    )
    marked = f"{text[low:start]}{{{surface}}}{text[end : max(high, end)]}"
    gold = [need(mention, "entity_id", path, place)]
    _row(columns, str(need(mention, "example_id", path, place)), "mention", surface, marked, gold)


def _add_entity(columns: dict[str, list[Any]], entity: Mapping[str, Any], path: Path, place: Place) -> None:
    name, text = (need(entity, key, path, place) for key in ("entity_id", "description"))
    _row(columns, name, "entity", text, None, [])
