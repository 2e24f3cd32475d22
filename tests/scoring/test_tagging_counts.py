"""Chunk F1 equals seqeval 1.2.2, the oddities of bare UPOS tags included."""

import random
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score

from tests.scoring.hostile_answers import disturbed_tags
from tests.scoring.real_files import UPOS, gold_tags
from xtreme_dag.core.errors import UserError
from xtreme_dag.formats.tagging import judge_tags, read_sentences, read_tag_lines
from xtreme_dag.scoring import tagcodes, tagging
from xtreme_dag.scoring.columns import column_sums
from xtreme_dag.scoring.combine import values
from xtreme_dag.scoring.tagcodes import TagCodes
from xtreme_dag.scoring.tagging import first_mismatch, statistics

IOB2 = ["O", *(f"{p}-{kind}" for p in "BI" for kind in ("PER", "ORG", "LOC"))]
WIDE = [
    "B-CARDINAL",
    "I-CARDINAL",
    "B-CARDINALS",
    "B-ÉTÉ",
    "I-ÉTÉ",
    "B-\ud800",
    "B-\0",
    "B-\0\0",
    "\0",
    "B-a\nI-a",
    "B-12345",
    "B-123456",
]
ODD = ["X", "O", "B", "I", "E", "S", ".", "_", "-", "B-", "X-_", "I-a-b", "Ba-b", "OX", "O-X", "É-x", "E-PER", "S-PER"]


def ours(gold, predicted):
    figures = values("tagging", column_sums(statistics(gold, predicted)))
    return [float(figures[name]) for name in ("f1", "precision", "recall")]


def seqeval(gold, predicted):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [100 * float(score(gold, predicted)) for score in (f1_score, precision_score, recall_score)]


def sentences_of(kinds):
    pair = st.tuples(st.sampled_from(kinds), st.sampled_from(kinds))
    return st.lists(st.lists(pair, max_size=6), min_size=1, max_size=8)


@settings(max_examples=300, deadline=None)
@given(
    sentences=st.one_of(
        sentences_of(IOB2),
        sentences_of(UPOS),
        sentences_of(ODD),
        sentences_of(WIDE),
        sentences_of(IOB2 + UPOS + ODD + WIDE),
    )
)
def test_any_tags_count_as_in_seqeval(sentences):
    gold = [[wanted for wanted, _ in sentence] for sentence in sentences]
    predicted = [[given for _, given in sentence] for sentence in sentences]
    assert ours(gold, predicted) == pytest.approx(seqeval(gold, predicted), abs=1e-9)


@pytest.fixture
def small_blocks(monkeypatch):
    """A sentence or two and a line or two at a time, so that chunks reach back over blocks."""
    monkeypatch.setattr(tagcodes, "SENTENCES", 2)
    monkeypatch.setattr(tagging, "SENTENCES", 2)
    monkeypatch.setattr(tagcodes, "BLOCK", 4)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sentences=st.one_of(sentences_of(ODD), sentences_of(IOB2), sentences_of(UPOS + WIDE)))
def test_blocks_make_no_difference(small_blocks, sentences):
    gold = [[wanted for wanted, _ in sentence] for sentence in sentences]
    predicted = [[given for _, given in sentence] for sentence in sentences]
    assert ours(gold, predicted) == pytest.approx(seqeval(gold, predicted), abs=1e-9)


def same_rows(found, gold, predicted):
    assert [list(found.gold), list(found.predictions)] == [
        [" ".join(tags) for tags in side] for side in (gold, predicted)
    ]
    assert found.ids[:] == [str(number) for number in range(len(gold))]
    for name, column in statistics(gold, predicted).items():
        assert found.statistics[name].tolist() == column.tolist()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sentences=st.one_of(sentences_of(IOB2), sentences_of(UPOS), sentences_of([*ODD, "B-CARDINAL", "É", "a\tb", "a b"])),
    line_break=st.sampled_from(["\n", "\n", "\r\n", " \n"]),
    ends=st.tuples(*[st.sampled_from(["", "\n", "\n\n"])] * 2),
)
def test_a_file_counts_as_its_sentences_do(small_blocks, tmp_path, sentences, line_break, ends):
    """Read as bytes or as text: the same rows, whatever the file ends with."""
    paths = [tmp_path / "gold", tmp_path / "predicted"]
    for side, (path, end) in enumerate(zip(paths, ends, strict=True)):
        parts = [line_break.join([*(pair[side] for pair in sentence), ""]) for sentence in sentences]
        text = line_break.join(parts).removesuffix("\n").removesuffix("\r")
        path.write_text(text + end, encoding="utf-8", newline="")
    gold, predicted = map(read_sentences, paths)
    if not gold or first_mismatch(gold, predicted):
        with pytest.raises(UserError):
            judge_tags(*paths, "en")
        return
    same_rows(judge_tags(*paths, "en"), gold, predicted)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", b""),
        (b"\n", b"\n"),
        (b"O", b"O\n\n"),
        (b"O\n", b"O\n\n"),
        (b"O\n\n", b"O\n\n"),
        (b"O\n\n\n", b"O\n\n\n"),
        (b"O \n", None),
        (b"O\r\n", None),
        ("É\n".encode(), None),
    ],
)
def test_what_is_read_as_bytes(tmp_path, text, lines):
    path = tmp_path / "tags"
    path.write_bytes(text)
    assert read_tag_lines(path) == lines


def test_numbers_are_those_of_the_tags(monkeypatch):
    """Short, long and many tags, in whatever order they are met, from lists and from lines."""
    monkeypatch.setattr(tagcodes, "SENTENCES", 3)
    chance = random.Random(3)
    kinds = [*IOB2, *UPOS, *(tag for tag in WIDE if "\n" not in tag), *(f"B-{number:x}" for number in range(400))]
    for few in (kinds[:20], kinds[:50], kinds):
        sentences = [[chance.choice(few) for _ in range(chance.randrange(8))] for _ in range(200)]
        codes = TagCodes()
        numbers = codes.of_sentences(sentences)
        wanted = [tag for sentence in sentences for tag in (*sentence, None)]
        assert [codes.tags[number] if number else None for number in numbers.tolist()] == wanted
        lines = "".join(f"{tag}\n" for sentence in sentences for tag in (*sentence, "")).encode(
            "utf-8", "surrogatepass"
        )
        assert codes.of_lines(lines).tolist() == numbers.tolist()
        assert len(set(codes.tags[1:])) == len(codes.tags) - 1


def test_more_kinds_of_tags_than_a_byte_holds():
    chance = random.Random(5)
    kinds = [f"{prefix}-{number}" for number in range(200) for prefix in "BI"]
    gold = [[chance.choice(kinds) for _ in range(9)] for _ in range(300)]
    predicted = disturbed_tags(chance, gold, kinds, 0.3)
    assert ours(gold, predicted) == pytest.approx(seqeval(gold, predicted), abs=1e-9)


@pytest.mark.real
@pytest.mark.parametrize("language", ["ar", "de", "en", "hi", "ja", "ka", "my", "pa", "qu", "yo", "zh"])
def test_wikiann_with_noise(shared_data, language):
    gold = gold_tags(next((shared_data / "panx").glob(f"dev-{language}.tsv*")), 1500)
    predicted = disturbed_tags(random.Random(language), gold, IOB2)
    assert ours(gold, predicted) == pytest.approx(seqeval(gold, predicted), abs=1e-9)


@pytest.mark.real
@pytest.mark.parametrize("language", ["af", "ar", "en", "eu", "fi", "hi", "ja", "ko", "nl", "tr", "ur", "zh"])
def test_universal_parts_of_speech_with_noise(shared_data, language):
    gold = gold_tags(next((shared_data / "udpos" / "xtreme_ud2.5").glob(f"dev-{language}.tsv*")), 1500)
    predicted = disturbed_tags(random.Random(language), gold, UPOS)
    assert ours(gold, predicted) == pytest.approx(seqeval(gold, predicted), abs=1e-9)


def test_runs_of_equal_upos_tags_are_one_chunk_and_single_tokens_are_not():
    gold = [["NOUN", "NOUN", "VERB"], ["SYM", "SYM"], ["INTJ", "INTJ"]]
    counted = statistics(gold, gold)
    assert counted["s_gold"].tolist() == [2, 2, 1]
    assert counted["s_tokens"].tolist() == [3, 2, 2]


def test_an_x_after_a_sentence_boundary_reaches_back():
    """A lone X at the end of a sentence counts for nothing; one before another tag ends a chunk of earlier sentences."""
    gold = [["NOUN"], ["X", "VERB"], ["ADJ", "X"]]
    counted = statistics(gold, gold)
    assert counted["s_gold"].tolist() == [1, 2, 1]
    late = [["VERB"], ["X", "VERB"], ["ADJ", "X"]]
    # The X of the second sentence is right, yet its chunk began at the first sentence's first tag in both.
    assert statistics(gold, late)["s_tp"].tolist() == [0, 2, 1]
    early = [["NOUN", "NOUN"], ["X", "VERB"]]
    other = [["NOUN", "VERB"], ["X", "VERB"]]
    assert statistics(early, other)["s_tp"].tolist() == [0, 1]
    for wanted, found in ((gold, late), (early, other)):
        assert ours(wanted, found) == pytest.approx(seqeval(wanted, found), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(sentences=sentences_of(IOB2 + UPOS[:-1]), seed=st.integers(0, 99))
def test_order_of_sentences_does_not_matter_without_bare_letters(sentences, seed):
    order = np.random.default_rng(seed).permutation(len(sentences))
    gold = [[wanted for wanted, _ in sentence] for sentence in sentences]
    predicted = [[given for _, given in sentence] for sentence in sentences]
    counted = statistics(gold, predicted)
    shuffled = statistics([gold[row] for row in order], [predicted[row] for row in order])
    for name, column in counted.items():
        assert shuffled[name].tolist() == column[order].tolist()


def test_token_accuracy_is_another_figure_than_chunk_f1():
    counted = column_sums(statistics([["NOUN", "VERB", "NOUN"]], [["NOUN", "VERB", "ADJ"]]))
    figures = values("tagging", counted)
    assert float(figures["token_accuracy"]) == pytest.approx(200 / 3)


def test_shapes_must_match():
    with pytest.raises(ValueError, match="2 predicted sentences for 1 gold"):
        statistics([["O"]], [["O"], ["O"]])
    with pytest.raises(ValueError, match="sentence 2 has 1 gold tags and 2 predicted"):
        statistics([["O"], ["O"]], [["O"], ["O", "O"]])
    with pytest.raises(ValueError, match="empty"):
        statistics([[""]], [["O"]])
    assert first_mismatch([["O"]], [["O"]]) == ""


@pytest.mark.parametrize("sentences", [[], [[]], [[], []]])
def test_nothing_to_count(sentences):
    counted = statistics(sentences, sentences)
    assert [len(column) for column in counted.values()] == [len(sentences)] * 5
    assert all(not column.any() for column in counted.values())
