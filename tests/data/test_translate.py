"""Translation: ids, labels and answers survive or are counted."""

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError
from xtreme_dag.data.derive.translate import Losses, plain_rows, translate_by_lexicon, translate_by_model
from xtreme_dag.data.derive.translate_lexicon import Lexicon
from xtreme_dag.data.derive.translate_model import set_language
from xtreme_dag.data.derive.translate_spans import answered_rows, nearest_occurrence
from xtreme_dag.miniworld.grammar import inflect
from xtreme_dag.miniworld.source import table as generated
from xtreme_dag.miniworld.world import NOUNS
from xtreme_dag.tables.canonical import SCHEMAS, read_table, write_table


def span(name, context, answers, question="Who?"):
    marked = [{"text": text, "start": start} for text, start in answers]
    return {"id": name, "language": "en", "split": "train", "title": "T", "context": context, "question": question,
            "answers": marked, "answerable": bool(marked)}  # fmt: skip


def run(folder, table, kind, stage=translate_by_lexicon, model=None, **more):
    (folder / "table").mkdir(parents=True)
    write_table(table, folder / "table" / "table.parquet")
    (folder / "out").mkdir()
    inputs = {"table": folder / "table"} | ({"model": model} if model else {})
    params = {"format": kind, "language": "qac", "rows": None, "beams": 1, "max_length": 12, "code": None, **more}
    figures = stage(params, inputs, StageContext(out=folder / "out", scratch=folder))
    return (
        read_table(folder / "out").to_pylist(),
        json.loads((folder / "out" / "translation.json").read_text()),
        figures,
    )


@pytest.mark.parametrize("kind", ["pair_classification", "multiple_choice", "tagging", "span_qa", "plain_text"])
@pytest.mark.parametrize("language", ["qaa", "qac", "qag"])
def test_the_lexicon_translates_every_format(tmp_path, kind, language):
    labels = {"tagging": ["ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN",
                          "PUNCT", "SCONJ", "SYM", "VERB", "X"]}.get(kind)  # fmt: skip
    english = generated(kind, dataset="d", language="en", split="train", rows=40, seed=5, labels=labels)
    rows, report, _ = run(tmp_path, english, kind, language=language)
    assert report["rows"] == report["read"] == 40 and report["lost"] == 0
    for before, after in zip(english.to_pylist(), rows, strict=True):
        assert after["language"] == language and after["id"] == before["id"]
        for gold in ("label", "answerable"):
            assert after.get(gold) == before.get(gold)
        for answer in after.get("answers") or ():
            assert after["context"][answer["start"] : answer["start"] + len(answer["text"])] == answer["text"]
        if kind == "tagging":
            pairs = zip(before["words"], before["tags"], strict=True)
            tags = [tag for word, tag in pairs if language == "qaa" or word not in ("the", "a")]
            assert after["tags"] == tags and len(after["words"]) == len(tags) and all(after["words"])


def test_the_lexicon_says_what_the_language_says():
    lexicon = Lexicon("qac")
    for noun in sorted(NOUNS)[:20]:
        assert lexicon.word(noun) == inflect(noun, [], "qac")
        assert lexicon.word(f"{noun}s") == inflect(noun, ["#plural"], "qac")
    assert lexicon.texts(["zyzzyva."]) == ["zyzzyva."] and lexicon.unknown == 1


def test_a_sample_is_the_same_in_every_language_and_part_of_a_larger_one(tmp_path):
    english = generated("plain_text", dataset="d", language="en", split="train", rows=60, seed=5)
    ids = {}
    for language, rows in (("qaa", 10), ("qac", 10), ("qac", 20)):
        made, _, _ = run(tmp_path / f"{language}{rows}", english, "plain_text", language=language, rows=rows)
        ids[language, rows] = [row["id"] for row in made]
    assert ids["qaa", 10] == ids["qac", 10] and set(ids["qac", 10]) < set(ids["qac", 20])


def upper(texts):
    """A translator that one can check by eye: it shouts, and puts `Le` before."""
    return [f"Le {text.upper()}" if " " in text else text.upper() for text in texts]


def test_answers_are_found_again_and_losses_counted():
    rows = [
        span("found", "Ann saw Bo. Bo ran away.", [("Bo", 12)]),
        span("none", "Ann saw Bo.", []),
        span("crosses", "Ann saw Bo. Bo ran away.", [("Bo. Bo", 8)]),
        span("gone", "Ann saw Bo.", [("saw Bo", 4)]),
        span("second", "Ann saw Bo.", [("saw Bo", 4), ("Ann", 0)]),
    ]
    losses = Losses()
    made = {row["id"]: row for row in answered_rows(rows, upper, losses)}
    assert losses.reasons == {
        "the answer crosses two sentences": ["crosses"],
        "the translated answer is not in the translated sentence": ["gone"],
    }
    assert made["found"]["context"] == "Le ANN SAW BO. Le BO RAN AWAY."
    assert made["found"]["answers"] == [{"text": "BO", "start": 18}]
    assert made["second"]["answers"] == [{"text": "ANN", "start": 3}]
    assert made["none"]["answers"] == [] and not made["none"]["answerable"]


@pytest.mark.parametrize(
    ("text", "wanted", "share", "span"),
    [
        ("to be or not to be", "to be", 0.0, (0, 5)),
        ("to be or not to be", "to be", 0.9, (13, 18)),
        ("Das Haus, in Berlin.", "das haus", 0.5, (0, 8)),
        ("am 3. Mai", "3 Mai", 0.5, (3, 9)),
        ("nichts davon", "etwas", 0.5, None),
        ("etwas", "...", 0.5, None),
    ],
)
def test_the_nearest_occurrence(text, wanted, share, span):
    assert nearest_occurrence(text, wanted, share) == span


@settings(max_examples=100, deadline=None)
@given(st.text("ab .ẞİﬁ", max_size=12), st.text("ab .ẞİﬁ", min_size=1, max_size=4), st.floats(0, 1))
def test_an_occurrence_lies_inside_the_text(text, wanted, share):
    found = nearest_occurrence(text, wanted, share)
    assert found is None or 0 <= found[0] < found[1] <= len(text)
    assert (wanted in text) <= (found is not None)


def test_each_text_is_translated_once_and_choices_too():
    asked = []

    def translate(texts):
        asked.extend(texts)
        return upper(texts)

    rows = [
        {"id": str(number), "context": "c c", "question": "", "choices": ["x", "y"], "label": 1} for number in range(3)
    ]
    made = plain_rows(rows, "multiple_choice", translate)
    assert sorted(asked) == ["c c", "x", "y"]
    assert made[2] == {"id": "2", "context": "Le C C", "question": "", "choices": ["X", "Y"], "label": 1}
    with pytest.raises(UserError, match="cannot be translated"):
        plain_rows([], "tagging", translate)


@pytest.fixture(scope="module")
def model(tiny_translator):
    """A tiny sequence-to-sequence model."""
    return tiny_translator


def text_table(texts):
    rows = [
        {"id": str(number), "language": "en", "split": "train", "text": text, "document": ""}
        for number, text in enumerate(texts)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS["plain_text"])


def test_a_model_translates_and_batches_do_not_matter(tmp_path, model):
    texts = ["a b c", "d", "e f g h i j a b", "b b", "j i h"]
    together, report, _ = run(tmp_path / "all", text_table(texts), "plain_text", translate_by_model, model)
    assert report["rows"] == 5
    for number, text in enumerate(texts):
        alone, _, _ = run(tmp_path / str(number), text_table([text]), "plain_text", translate_by_model, model)
        assert alone[0]["text"] == together[number]["text"]
    again, _, _ = run(tmp_path / "again", text_table(texts), "plain_text", translate_by_model, model, beams=3)
    assert len(again) == 5
    digests = {(tmp_path / name / "out" / "table.parquet").read_bytes() for name in ("all",)}
    run(tmp_path / "twice", text_table(texts), "plain_text", translate_by_model, model)
    assert (tmp_path / "twice" / "out" / "table.parquet").read_bytes() in digests


def test_a_model_for_many_languages_begins_with_the_code(tmp_path, model):
    for code in ("deu", "rus"):
        made, _, _ = run(tmp_path / code, text_table(["a b"]), "plain_text", translate_by_model, model, code=code)
        assert made[0]["text"].split()[0] == code
    with pytest.raises(UserError, match="no token 'xxx'"):
        run(tmp_path / "xxx", text_table(["a b"]), "plain_text", translate_by_model, model, code="xxx")


def test_questions_through_a_model_keep_their_answers_in_place_or_are_counted(tmp_path, model):
    rows = [span(str(number), "a b c. d e f.", [("b", 2)]) for number in range(3)] + [span("none", "a b.", [])]
    table = pa.Table.from_pylist(rows, schema=SCHEMAS["span_qa"])
    made, report, figures = run(tmp_path, table, "span_qa", translate_by_model, model)
    assert len(made) + report["lost"] == 4 and figures["lost"] == report["lost"] == sum(report["lost_because"].values())
    assert {"none"} <= {row["id"] for row in made}
    for row in made:
        for answer in row["answers"]:
            assert row["context"][answer["start"] :].startswith(answer["text"])


def test_a_folder_without_a_model_says_so(tmp_path):
    with pytest.raises(UserError, match="no sequence-to-sequence model"):
        run(tmp_path / "run", text_table(["a"]), "plain_text", translate_by_model, tmp_path)


def test_a_multilingual_tokenizer_is_told_what_it_reads(tmp_path):
    from transformers import NllbTokenizerFast, PreTrainedTokenizerFast

    tokenizer = NllbTokenizerFast(vocab={"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}, merges=[])
    first = {}
    for code in ("eng_Latn", "deu_Latn"):
        set_language(tokenizer, code, tmp_path)
        first[code] = tokenizer("a")["input_ids"][0]
        assert first[code] == tokenizer.convert_tokens_to_ids(code)
    assert first["eng_Latn"] != first["deu_Latn"]
    with pytest.raises(UserError, match="no token 'xxx_Latn'"):
        set_language(tokenizer, "xxx_Latn", tmp_path)
    alone = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    set_language(alone, "deu_Latn", tmp_path)
    assert not hasattr(alone, "src_lang")
