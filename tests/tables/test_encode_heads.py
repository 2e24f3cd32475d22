"""The `encode` stage: sequences as transformers makes them, windows that lose nothing, gold that points at the text."""

import json
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from tests.training.worlds import WORDS, make_tokenizer, rows
from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError
from xtreme_dag.heads.encoding import encode
from xtreme_dag.heads.span import answer_tokens, span_windows
from xtreme_dag.heads.tagging import mend_words, windows
from xtreme_dag.tables.canonical import SCHEMAS, write_table
from xtreme_dag.tables.encoded import open_encoded
from xtreme_dag.tables.tokenizer_files import copy_tokenizer, load_tokenizer

TEXT = [
    "The quick brown fox jumps over the lazy dog, again and again.",
    "Der schnelle braune Fuchs springt über den faulen Hund – immer wieder!",
    "Быстрая лиса прыгает через ленивую собаку.",
    "快速的棕色狐狸跳过了懒狗。再一次，又一次。",
    "สุนัขจิ้งจอกสีน้ำตาลกระโดดข้ามสุนัขขี้เกียจ",
    "  two  spaces\tand a tab ",
] * 3


@pytest.fixture(scope="module", params=["xlm-r", "bert"])
def tokenizer(request, tmp_path_factory):
    """A small Unigram tokenizer in XLM-R's manner, or a WordPiece one in BERT's."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "xlm-r":
        made = Tokenizer(models.Unigram())
        made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        trainer = trainers.UnigramTrainer(
            vocab_size=160, special_tokens=special, unk_token="<unk>", show_progress=False
        )
        made.train_from_iterator(TEXT, trainer)
        single, pair = "<s> $A </s>", "<s> $A </s> </s> $B </s>"
        names = ["input_ids", "attention_mask"]
    else:
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        special = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
        made.train_from_iterator(
            TEXT, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False)
        )
        single, pair = "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"
        names = ["input_ids", "token_type_ids", "attention_mask"]
    begin, end = special[0], special[2]
    made.post_processor = processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[(token, made.token_to_id(token)) for token in (begin, end)]
    )
    made.enable_padding(length=64)  # as some published tokenizers have it; we must not pad
    made.save(str(folder / "tokenizer.json"))
    roles = dict(zip(("cls", "pad", "sep", "unk", "mask"), special, strict=True))
    settings_ = {f"{role}_token": token for role, token in roles.items()}
    settings_ |= {"model_input_names": names, "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings_))
    return folder


def run(tmp_path, tokenizer, kind, made, **params):
    """Encodes rows; returns the table."""
    for name in ("table", "out"):
        (tmp_path / name).mkdir(parents=True)
    write_table(pa.Table.from_pylist(made, schema=SCHEMAS[kind]), tmp_path / "table" / "table.parquet")
    context = StageContext(out=tmp_path / "out", scratch=tmp_path)
    encode({"format": kind, **params}, {"table": tmp_path / "table", "tokenizer": tokenizer}, context)
    return open_encoded(tmp_path / "out")


def head(number, split="train", language="en"):
    return {"id": f"row-{number}", "language": language, "split": split}


def reference(folder):
    """The same tokenizer through transformers."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder))


def sequence(table, number):
    return table.ids[table.offsets[number] : table.offsets[number + 1]].tolist()


@pytest.mark.parametrize("length", [12, 24, 400])
def test_pairs_are_encoded_as_transformers_does(tmp_path, tokenizer, length):
    made = [
        {**head(number), "text_a": one, "text_b": two, "label": ["no", None, "yes"][number % 3]}
        for number, (one, two) in enumerate(zip(TEXT, reversed(TEXT), strict=True))
    ]
    table = run(
        tmp_path, tokenizer, "pair_classification", made, head="classification", labels=["yes", "no"], max_length=length
    )
    theirs = reference(tokenizer)
    wanted = theirs(
        [row["text_a"] for row in made], [row["text_b"] for row in made], truncation=True, max_length=length
    )
    assert [sequence(table, number) for number in range(len(made))] == wanted["input_ids"]
    assert table.per_example("label").tolist() == [1, -1, 0] * (len(made) // 3)
    if table.has_type_ids:
        flat = [kind for row in wanted["token_type_ids"] for kind in row]
        assert table.per_token("token_type_ids").tolist() == flat and 1 in flat
    assert table.has_type_ids == ("token_type_ids" in theirs.model_input_names)
    whole = theirs([row["text_a"] for row in made], [row["text_b"] for row in made])["input_ids"]
    assert table.info["truncated"] == sum(len(row) > length for row in whole)
    assert table.info["tokens"] == len(table.ids) and table.info["longest"] == table.lengths.max() <= length


def test_spans_point_at_the_answer(tmp_path, tokenizer):
    made = []
    for number, context in enumerate(TEXT):
        words = context.split() or [context]
        answer = max(words, key=len)[:12]
        start = context.index(answer)
        made.append({**head(number), "title": "", "context": context, "question": words[0], "answerable": number % 5 > 0,
                     "answers": [{"text": answer, "start": start}] if number % 5 else []})  # fmt: skip
    table = run(tmp_path, tokenizer, "span_qa", made, head="span", max_length=30, doc_stride=6, query_length=4)
    offsets = table.per_token("offsets").reshape(-1, 2)
    starts, ends, example = (table.per_sequence(name) for name in ("start", "end", "example"))
    theirs = reference(tokenizer)
    found = set()
    for window in range(len(table.lengths)):
        low, high = table.offsets[window], table.offsets[window + 1]
        places, row = offsets[low:high], made[example[window]]
        assert high - low <= 30
        inside = np.flatnonzero(places[:, 0] >= 0)
        assert all(row["context"][a:b] == row["context"][a:b].lstrip() for a, b in places[inside])
        if ends[window]:
            begin, stop = places[starts[window]][0], places[ends[window]][1]
            answer = row["answers"][0]
            assert begin <= answer["start"] and stop >= answer["start"] + len(answer["text"])
            assert row["context"][begin:stop].strip() in row["context"]
            found.add(example[window])
        else:
            assert starts[window] == 0
        ids = theirs(row["context"], add_special_tokens=False)["input_ids"]
        assert "".join(map(str, table.ids[low + inside[0] : low + inside[-1] + 1])) in "".join(map(str, ids))
    assert found == {number for number, row in enumerate(made) if row["answers"]}
    covered = [set() for _ in made]
    for window in range(len(table.lengths)):
        for a, b in offsets[table.offsets[window] : table.offsets[window + 1]]:
            covered[example[window]].update(range(a, b))
    for characters, row in zip(covered, made, strict=True):
        missing = [place for place in range(len(row["context"])) if place not in characters]
        assert all(row["context"][place].isspace() for place in missing), "windows cover the whole context"


def test_tags_of_split_sentences_come_once_each(tmp_path, tokenizer):
    made = [{**head(number), "words": text.split() * 3, "tags": None} for number, text in enumerate(TEXT[:5])]
    made[0]["words"][2] = "​"  # nothing is left of it
    made[1]["words"][1] = "x" * 300  # more pieces than a window holds
    for row in made:
        row["tags"] = [["A", "B"][place % 2] for place in range(len(row["words"]))]
    table = run(tmp_path, tokenizer, "tagging", made, head="tagging", labels=["A", "B"], max_length=16)
    assert table.lengths.max() <= 16
    example = table.per_sequence("example")
    counts = table.per_example("words").tolist()
    assert counts == [len(row["words"]) for row in made]
    for number, row in enumerate(made):
        places, tags = [], []
        for window in np.flatnonzero(example == number):
            part = slice(table.offsets[window], table.offsets[window + 1])
            word, label = table.per_token("word")[part], table.per_token("labels")[part]
            assert ((word >= 0) == (label != -100)).all()
            assert word[0] == word[-1] == -1, "special tokens carry nothing"
            places += word[word >= 0].tolist()
            tags += label[label != -100].tolist()
        assert places == list(range(len(row["words"])))
        assert tags == [place % 2 for place in places]
    assert table.info["words_as_unknown"] >= 1 and table.info["split_sentences"] > 0


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 8))
def test_windows_cover_words_in_order(pieces_per_word, room):
    word_of = np.repeat(np.arange(len(pieces_per_word)), pieces_per_word).astype(np.int32)
    pieces, words, lost = mend_words(word_of + 100, word_of, len(pieces_per_word), room, 3)
    assert sorted(set(words.tolist())) == list(range(len(pieces_per_word)))
    assert lost == sum(count == 0 or count > room for count in pieces_per_word)
    assert (pieces == 3).sum() == lost and (np.diff(words) >= 0).all()
    ranges = windows(words, room)
    assert [low for low, _ in ranges[1:]] == [high for _, high in ranges[:-1]]
    assert ranges[0][0] == 0 and ranges[-1][1] == len(words)
    assert all(high - low <= room for low, high in ranges)
    assert all(high == len(words) or words[high] != words[high - 1] for _, high in ranges)


@given(st.integers(0, 300), st.integers(1, 60), st.integers(1, 80))
def test_span_windows_cover_every_token(tokens, room, stride):
    ranges = span_windows(tokens, room, stride)
    assert {place for low, high in ranges for place in range(low, high)} == set(range(tokens))
    assert all(high - low <= room for low, high in ranges)
    assert all(two[0] - one[0] == min(stride, room) for one, two in pairwise(ranges))


@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.integers(0, 20), st.integers(1, 10))
def test_answer_tokens_are_the_smallest_range_over_the_answer(widths, start, length):
    ends = np.cumsum(widths)
    offsets = np.stack([ends - widths, ends], axis=1).astype(np.int32)
    found = answer_tokens(offsets, (start, start + length))
    touched = [place for place, (low, high) in enumerate(offsets) if low < start + length and high > start]
    assert found == ((touched[0], touched[-1]) if touched else None)


def test_choices_and_their_prompts(tmp_path, tokenizer):
    made = [
        {**head(0), "context": "the fox", "question": "why?", "choices": ["a dog", "the fox", "again"], "label": 2},
        {**head(1), "context": "the dog", "question": None, "choices": ["lazy", "quick"], "label": None},
    ]
    table = run(tmp_path, tokenizer, "multiple_choice", made, head="multiple_choice", max_length=40)
    assert table.first_sequence.tolist() == [0, 3, 5] and table.per_example("label").tolist() == [2, -1]
    theirs = reference(tokenizer)
    assert sequence(table, 1) == theirs("the fox why?", "the fox")["input_ids"]
    assert sequence(table, 4) == theirs("the dog", "quick")["input_ids"]


def test_retrieval_pools_keep_their_candidates(tmp_path, tokenizer):
    made = [
        {**head(number), "side": "question" if number % 3 == 0 else "candidate", "text": f"the fox {number}",
         "context": None if number % 3 == 0 else "\nthe lazy dog", "gold": ["row-1"] if number % 3 == 0 else []}
        for number in range(12)
    ]  # fmt: skip
    table = run(tmp_path, tokenizer, "qa_retrieval", made, head="embedding", max_length=40, query_length=6, limit=2)
    assert table.example_ids == [
        "row-0",
        "row-1",
        "row-2",
        "row-3",
        "row-4",
        "row-5",
        "row-7",
        "row-8",
        "row-10",
        "row-11",
    ]
    assert table.per_sequence("side").tolist() == [0, 1, 1, 0, 1, 1, 1, 1, 1, 1]
    theirs = reference(tokenizer)
    assert sequence(table, 1) == theirs("the fox 1the lazy dog")["input_ids"], "sentence and paragraph, no line break"
    assert len(sequence(table, 0)) <= 6


def test_dual_pairs_queries_with_their_gold(tmp_path, tokenizer):
    made = [
        {**head(0), "side": "mention", "text": "fox", "context": "the {fox} jumps", "gold": ["row-2"]},
        {**head(1), "side": "mention", "text": "dog", "context": "a {dog}", "gold": ["missing"]},
        {**head(2), "side": "entity", "text": "fox", "context": "a quick animal", "gold": []},
    ]
    table = run(tmp_path, tokenizer, "entity_linking", made, head="dual", max_length=40, query_length=40)
    assert table.example_ids == ["row-0"] and table.info["queries_without_gold"] == 1
    theirs = reference(tokenizer)
    assert [sequence(table, 0), sequence(table, 1)] == theirs(["fox: the {fox} jumps", "fox a quick animal"])[
        "input_ids"
    ]


@pytest.mark.parametrize("kind", ["dual", "embedding"])
def test_parallel_texts_have_two_sides(tmp_path, tokenizer, kind):
    made = [{**head(number, language="de"), "text": "der Fuchs", "english": f"the fox {number}"} for number in range(5)]
    table = run(tmp_path, tokenizer, "parallel", made, head=kind, max_length=40)
    assert table.per_sequence("side").tolist() == [0, 1] * 5
    assert sequence(table, 3) == reference(tokenizer)("the fox 1")["input_ids"]


def test_translation_pairs_for_masked_language_modelling(tmp_path, tokenizer):
    made = [{**head(0), "text": "der Fuchs", "english": "the fox", "document": "d", "turn": 0}]
    table = run(tmp_path, tokenizer, "parallel_text", made, head="mlm", max_length=40)
    assert sequence(table, 0) == reference(tokenizer)("der Fuchs", "the fox")["input_ids"]


def test_limits(tmp_path, tokenizer):
    made = [{**head(number), "text": "the fox", "document": "d"} for number in range(50)]
    first = run(tmp_path / "first", tokenizer, "plain_text", made, head="mlm", limit=7)
    assert first.example_ids == [f"row-{number}" for number in range(7)]
    one = run(tmp_path / "one", tokenizer, "plain_text", made, head="mlm", limit=7, limit_seed=1)
    other = run(
        tmp_path / "two",
        tokenizer,
        "plain_text",
        [{**row, "language": "de"} for row in made],
        head="mlm",
        limit=7,
        limit_seed=1,
    )
    assert one.example_ids == other.example_ids != first.example_ids, "parallel rows are sampled together"
    assert one.example_ids == sorted(one.example_ids, key=lambda name: int(name[4:])), "in the table's order"
    assert set(one.example_ids) <= set(
        run(tmp_path / "more", tokenizer, "plain_text", made, head="mlm", limit=20, limit_seed=1).example_ids
    )


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return make_tokenizer(tmp_path_factory.mktemp("words"))


def test_the_same_table_gives_the_same_bytes(tmp_path, words):
    made = rows("span_qa", 20)
    for name in ("one", "two"):
        run(tmp_path / name, words, "span_qa", made, head="span", max_length=30)
    for name in ("examples.arrow", "sequences.arrow", "encode.json"):
        assert (tmp_path / "one" / "out" / name).read_bytes() == (tmp_path / "two" / "out" / name).read_bytes()


def test_the_copied_tokenizer_is_the_same(tmp_path, tokenizer):
    copy_tokenizer(tokenizer, tmp_path / "model" / "tokenizer")
    one, two = load_tokenizer(tokenizer), load_tokenizer(tmp_path / "model")
    assert one.special_ids == two.special_ids and set(one.special_ids) == {"pad", "unk", "mask", "cls", "sep"}
    assert one.encode(TEXT, None, 20).ids.tolist() == two.encode(TEXT, None, 20).ids.tolist()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"format": "pair_classification", "head": "classification"}, "needs the task's labels"),
        ({"format": "tagging", "head": "span"}, "cannot be trained on the format 'tagging'"),
        ({"format": "taging", "head": "tagging", "labels": ["A", "B"]}, "did you mean 'tagging'"),
        ({"format": "tagging", "head": "taging"}, "did you mean 'tagging'"),
        ({"format": "plain_text", "head": "mlm", "maximum_length": 3}, "did you mean 'max_length'"),
    ],
)
def test_mistakes_are_named(tmp_path, words, params, message):
    context = StageContext(out=tmp_path, scratch=tmp_path)
    with pytest.raises(UserError, match=message):
        encode(params, {"table": tmp_path, "tokenizer": words}, context)


def test_labels_and_texts_that_cannot_be(tmp_path, words):
    pair = {**head(0), "text_a": "w1", "text_b": "w2", "label": "maybe"}
    with pytest.raises(UserError, match="row 'row-0' has the label 'maybe'"):
        run(tmp_path / "a", words, "pair_classification", [pair], head="classification", labels=["yes", "no"])
    with pytest.raises(UserError, match="has no text_b"):
        run(
            tmp_path / "b",
            words,
            "pair_classification",
            [{**pair, "text_b": None}],
            head="classification",
            labels=["maybe", "no"],
        )
    with pytest.raises(UserError, match="2 words and 1 tags"):
        run(
            tmp_path / "c",
            words,
            "tagging",
            [{**head(0), "words": ["w1", "w2"], "tags": ["A"]}],
            head="tagging",
            labels=["A", "B"],
        )
    with pytest.raises(UserError, match="no room"):
        run(
            tmp_path / "d",
            words,
            "tagging",
            [{**head(0), "words": ["w1"], "tags": ["A"]}],
            head="tagging",
            labels=["A", "B"],
            max_length=2,
        )
    with pytest.raises(UserError, match="not an encoded table"):
        open_encoded(tmp_path)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.integers(0, WORDS - 1), min_size=0, max_size=15), min_size=1, max_size=8))
def test_flat_ids_are_the_sequences_end_to_end(words, sentences):
    tokenizer = load_tokenizer(words)
    texts = [" ".join(f"w{number}" for number in row) for row in sentences]
    flat = tokenizer.encode(texts, None, 10)
    cut = np.split(flat.ids, np.cumsum(flat.lengths)[:-1])
    assert [row.tolist() for row in cut] == [[0, *(number + 5 for number in row[:8]), 2] for row in sentences]
    assert flat.truncated == sum(len(row) > 8 for row in sentences)
