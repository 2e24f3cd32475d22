"""Tables of every format: deterministic, parallel, disjoint, with gold that is gold."""

import os
import random
import re
import subprocess
import sys
from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xtreme_dag.catalogue.miniworld_languages import CODES
from xtreme_dag.core.errors import UserError
from xtreme_dag.miniworld.pairs import inference
from xtreme_dag.miniworld.source import table
from xtreme_dag.miniworld.tagging import UPOS
from xtreme_dag.miniworld.world import ANIMALS, VERBS, WORKERS, antonym, cause_of, effect_of
from xtreme_dag.tables.canonical import SCHEMAS

NER = ["O", *(f"{place}-{kind}" for kind in ("PER", "ORG", "LOC") for place in "BI")]
POOLS = ("bitext_mining", "qa_retrieval", "entity_linking")


def rows(format, language="en", split="test", count=60, dataset="d", seed=0, **more):
    return table(format, dataset=dataset, language=language, split=split, rows=count, seed=seed, **more).to_pylist()


@pytest.mark.parametrize("format", sorted(SCHEMAS))
@pytest.mark.parametrize("code", ["en", "qad", "qag", "qak"])
def test_every_format_has_its_schema_and_unique_ids(format, code):
    made = table(format, dataset="d", language=code, split="test", rows=40, seed=0)
    assert made.schema == SCHEMAS[format]
    assert made.num_rows == 40 and len(set(made["id"].to_pylist())) == 40
    assert set(made["language"].to_pylist()) == {code} and set(made["split"].to_pylist()) == {"test"}


def without_language(made, code):
    """Rows of qa_retrieval whose candidates are not called after their language, as they have to be in one pool."""
    assert all(row["id"].startswith(f"{code}:") == (row["side"] == "candidate") for row in made)
    return [
        {
            **row,
            "id": row["id"].removeprefix(f"{code}:"),
            "gold": [name.removeprefix(f"{code}:") for name in row["gold"]],
        }
        for row in made
    ]


@settings(max_examples=25, deadline=None)
@given(
    format=st.sampled_from(sorted(SCHEMAS)),
    codes=st.lists(st.sampled_from(CODES), min_size=2, max_size=2, unique=True),
    count=st.integers(0, 40),
    seed=st.integers(0, 5),
)
def test_languages_are_parallel(format, codes, count, seed):
    one, other = (rows(format, code, count=count, seed=seed) for code in codes)
    if format == "qa_retrieval":
        one, other = (without_language(made, code) for made, code in zip((one, other), codes, strict=True))
    assert [row["id"] for row in one] == [row["id"] for row in other]
    same = {"label", "gold", "answerable", "document", "turn", "english", "side"} & set(SCHEMAS[format].names)
    assert [[row[name] for name in same] for row in one] == [[row[name] for name in same] for row in other]
    words = {"text", "text_a", "context", "words"} & set(SCHEMAS[format].names)
    if format == "entity_linking":
        words.remove("text")  # a name is the same in two languages of one script
    assert count < 10 or all([row[name] for row in one] != [row[name] for row in other] for name in words)


@pytest.mark.parametrize("format", sorted(set(SCHEMAS) - set(POOLS)))
def test_fewer_rows_are_the_beginning_of_more(format):
    assert rows(format, count=30) == rows(format, count=60)[:30]


@pytest.mark.parametrize("format", sorted(SCHEMAS))
def test_datasets_seeds_and_splits_differ(format):
    contents = [
        [
            {name: value for name, value in row.items() if name not in ("id", "split", "gold", "document")}
            for row in made
        ]
        for made in (rows(format), rows(format, dataset="e"), rows(format, seed=1), rows(format, split="dev"))
    ]
    assert all(one != other for index, one in enumerate(contents) for other in contents[:index])


@pytest.mark.parametrize(
    ("format", "content"),
    [
        ("pair_classification", lambda row: row["text_b"]),
        ("multiple_choice", lambda row: row["context"]),
        ("span_qa", lambda row: (row["question"], row["context"])),
        ("parallel", lambda row: row["text"]),
        ("plain_text", lambda row: row["text"]),
    ],
)
def test_splits_share_no_meaning_whatever_the_dataset(format, content):
    train = {content(row) for row in rows(format, split="train", count=1500, dataset="a")}
    for split in ("dev", "test"):
        held_out = {content(row) for row in rows(format, split=split, count=500, dataset="b")}
        assert not train & held_out


def test_same_bytes_in_every_process(tmp_path):
    program = (
        "import hashlib, sys\n"
        "from pathlib import Path\n"
        "from xtreme_dag.tables.canonical import SCHEMAS, write_table\n"
        "from xtreme_dag.miniworld.source import table\n"
        "from xtreme_dag.training.planted_tokenizer import write\n"
        "from xtreme_dag.training.planted_embeddings import word_embeddings\n"
        "out, digest = Path(sys.argv[1]), hashlib.sha256()\n"
        "for format in SCHEMAS:\n"
        "    for code in ('en', 'qad', 'qag'):\n"
        "        write_table(table(format, dataset='d', language=code, split='train', rows=50, seed=1), out / 't')\n"
        "        digest.update((out / 't').read_bytes())\n"
        "write(out / 'tokenizer')\n"
        "for name in ('tokenizer.json', 'tokenizer_config.json'):\n"
        "    digest.update((out / 'tokenizer' / name).read_bytes())\n"
        "digest.update(word_embeddings(seed=1, size=32).tobytes())\n"
        "print(digest.hexdigest())\n"
    )
    seen = set()
    for hash_seed in ("0", "4242"):
        folder = tmp_path / hash_seed
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        run = subprocess.run(
            [sys.executable, "-c", program, str(folder)], env=environment, capture_output=True, text=True, check=True
        )
        seen.add(run.stdout)
    assert len(seen) == 1


# --- pairs ---------------------------------------------------------------------------------------------------------


def bag_of_words_accuracy(texts, labels, train):
    """Accuracy of naive Bayes over the words of one text, on the rows after `train`."""
    names, words = sorted(set(labels)), sorted({word for one in texts for word in one.split()})
    place = {word: index for index, word in enumerate(words)}
    counts = np.ones((len(names), len(words)))
    for one, label in zip(texts[:train], labels[:train], strict=True):
        for word in one.split():
            counts[names.index(label), place[word]] += 1
    scores = np.log(counts / counts.sum(1, keepdims=True))
    guesses = [names[int(np.argmax(scores[:, [place[word] for word in one.split()]].sum(1)))] for one in texts[train:]]
    return np.mean([guess == label for guess, label in zip(guesses, labels[train:], strict=True)])


@pytest.mark.parametrize(("labels", "chance"), [(None, 1 / 3), (["0", "1"], 1 / 2)])
def test_one_side_of_a_pair_does_not_give_the_label_away(labels, chance):
    made = rows("pair_classification", split="train", count=6000, labels=labels)
    for side in ("text_a", "text_b"):
        accuracy = bag_of_words_accuracy([row[side] for row in made], [row["label"] for row in made], 4000)
        # 2,000 test rows: a standard error of about 1.1 points.
        assert abs(accuracy - chance) < 0.035, side


def test_labels_are_balanced():
    for labels in (["contradiction", "entailment", "neutral"], ["0", "1"]):
        counts = Counter(row["label"] for row in rows("pair_classification", count=600, labels=labels))
        assert counts == dict.fromkeys(labels, 600 // len(labels))


def test_inference_labels_follow_from_the_meanings():
    seen = Counter()
    for told, claimed, label in islice(inference(random.Random(5), "test"), 600):
        changes = [
            (old, new)
            for old, new in ((claimed.verb, told.verb), (claimed.object.adjective, told.object.adjective))
            if old != new
        ]
        assert (claimed.subject.noun, claimed.object.noun) == (told.subject.noun, told.object.noun)
        assert claimed.place in (None, told.place) and claimed.subject.adjective in ("", told.subject.adjective)
        if label == "entailment":
            assert not changes
        else:
            ((old, new),) = changes
            assert (antonym(old) == new) == (label == "contradiction")
            seen[label, old in VERBS] += 1
    assert min(seen[label, verb] for label in ("contradiction", "neutral") for verb in (True, False)) > 5


def test_label_names_are_matched_by_meaning_not_by_place():
    plain = rows("pair_classification", count=90)
    other = rows("pair_classification", count=90, labels=["entailment", "neutral", "contradiction"])
    assert [row["label"] for row in plain] == [row["label"] for row in other]
    renamed = rows("pair_classification", count=90, labels=["duplicate", "not_duplicate"])
    same = {row["label"] for row in renamed if sorted(row["text_a"].split()) == sorted(row["text_b"].split())}
    assert same == {"duplicate", "not_duplicate"}


def test_paraphrase_needs_more_than_the_bag_of_words():
    made = rows("pair_classification", count=800, labels=["0", "1"])

    def bag(text):
        return sorted(re.findall(r"\w+", text))

    alike = [row["label"] for row in made if bag(row["text_a"]) == bag(row["text_b"])]
    assert Counter(alike)["1"] == 400, "a paraphrase has the very same words"
    assert 150 < Counter(alike)["0"] < 250, "one negative in two has them too"
    for row in made:
        moved = re.sub(r"^(in|near|behind) ((?:the|this) \w+|\w+) (.*)\.$", r"\3 \1 \2.", row["text_a"])
        assert (moved == row["text_b"]) == (row["label"] == "1")


@pytest.mark.parametrize("labels", [["a", "b", "c"], ["x", "y"], ["0"]])
def test_labels_that_mean_nothing_are_refused(labels):
    with pytest.raises(UserError, match="labels"):
        rows("pair_classification", labels=labels)


# --- tagging -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES)
def test_tags_are_legal_members_of_the_labels(code):
    upos = [*UPOS, "INTJ", "PART", "SYM", "X"]
    for row in rows("tagging", code, count=150, labels=upos):
        assert len(row["words"]) == len(row["tags"]) and set(row["tags"]) <= set(upos) and row["tags"][-1] == "PUNCT"
    for row in rows("tagging", code, count=150, labels=NER):
        for before, tag in zip(["O", *row["tags"]], row["tags"], strict=False):
            assert tag in NER
            assert tag[0] != "I" or before in (f"B-{tag[2:]}", f"I-{tag[2:]}")


def test_all_entity_types_and_all_parts_of_speech_occur():
    assert {tag for row in rows("tagging", count=300, labels=NER) for tag in row["tags"]} == set(NER)
    # A question word stands in questions alone, and these sentences are statements.
    assert {tag for row in rows("tagging", count=300) for tag in row["tags"]} == set(UPOS) - {"PRON"}


def test_an_open_tag_set_of_combinatory_categories():
    tags = {tag for row in rows("tagging", dataset="ccg", labels=[]) for tag in row["tags"]}
    assert {"N", "N/N", r"(S[dcl]\NP)/NP", "."} <= tags


def test_a_tag_set_that_cannot_be_derived_is_refused():
    with pytest.raises(UserError, match="no tag set"):
        rows("tagging", labels=["red", "green"])


# --- questions -----------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(code=st.sampled_from(CODES), seed=st.integers(0, 50), share=st.sampled_from([0.0, 0.3, 1.0]))
def test_answers_stand_at_their_offsets(code, seed, share):
    for row in rows("span_qa", code, count=30, seed=seed, unanswerable=share):
        assert row["answerable"] == bool(row["answers"])
        for answer in row["answers"]:
            assert answer["text"] and row["context"][answer["start"] :].startswith(answer["text"])
        assert share < 1 or not row["answerable"]
        assert share > 0 or row["answerable"]


def test_the_share_of_unanswerable_questions():
    made = rows("span_qa", count=1500, split="train", unanswerable=1 / 3)
    assert abs(np.mean([not row["answerable"] for row in made]) - 1 / 3) < 0.04


def test_a_questions_verb_is_told_once_or_never():
    for row in rows("span_qa", count=300, unanswerable=0.3):
        (verb,) = [word for word in re.findall(r"\w+", row["question"]) if word in VERBS]
        assert re.findall(r"\w+", row["context"]).count(verb) == row["answerable"]


def test_the_title_does_not_give_the_answer_away():
    assert all(row["title"] not in row["answers"][0]["text"] for row in rows("span_qa", count=200))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_right_choice_follows_from_the_causal_law(count):
    made = rows("multiple_choice", count=120 * count, choices=count)
    assert set(Counter(row["label"] for row in made).values()) == {120}
    for row in made:
        (verb,) = [word for word in re.findall(r"\w+", row["context"]) if word in VERBS]
        law = cause_of if row["question"] == "What was the cause?" else effect_of
        assert [law(verb) in choice.split() for choice in row["choices"]] == [
            place == row["label"] for place in range(count)
        ]


# --- retrieval -----------------------------------------------------------------------------------------------------


def test_mined_pairs_are_translations_and_no_others_are():
    made = rows("bitext_mining", "en", count=400)
    by_id = {row["id"]: row for row in made}
    pairs = {(row["id"], row["gold"][0]) for row in made if row["side"] == "foreign" and row["gold"]}
    assert pairs == {(row["gold"][0], row["id"]) for row in made if row["side"] == "english" and row["gold"]}
    assert len(pairs) == 100
    assert all(by_id[one]["text"] == by_id[other]["text"] for one, other in pairs)
    texts = Counter(row["text"] for row in made)
    assert {text for text, count in texts.items() if count > 1} == {by_id[one]["text"] for one, _ in pairs}


def test_a_question_has_one_answer_in_its_pool():
    made = rows("qa_retrieval", "en", count=300)
    candidates = {row["id"]: row for row in made if row["side"] == "candidate"}
    asked = [row for row in made if row["side"] == "question"]
    assert len(asked) == 150 and all(row["text"] in row["context"] for row in candidates.values())
    holes = {"who": r"[\w ]+", "what": r"[\w ]+", "where": r"(in|near|behind) [\w ]+"}
    for row in asked:
        told = " ".join(holes.get(word, re.escape(word)) for word in row["text"].rstrip("?").split())
        fitting = [name for name, one in candidates.items() if re.fullmatch(told + r"\.", one["text"])]
        assert fitting == row["gold"]


def test_a_mention_names_one_entity():
    made = rows("entity_linking", "en", count=900, split="train")
    entities = {row["id"]: row for row in made if row["side"] == "entity"}
    mentions = [row for row in made if row["side"] == "mention"]
    assert len({row["text"] for row in entities.values()}) < len(entities), "names repeat"
    for row in mentions:
        assert f"{{{row['text']}}}" in row["context"]
        work = re.search(r"is a (\w+)", row["context"]).group(1)
        fitting = [
            name
            for name, one in entities.items()
            if one["text"].endswith(row["text"]) and f"is a {work}." in one["context"]
        ]
        assert fitting == row["gold"]
    assert {len(row["text"].split()) for row in mentions} == {1, 2}


def test_too_many_people_are_refused():
    with pytest.raises(UserError, match="people apart"):
        rows("entity_linking", count=100_000)


# --- text ----------------------------------------------------------------------------------------------------------


def test_dialogues_have_turns_and_answers_to_their_questions():
    made = rows("parallel_text", "qaa", count=400)
    documents: dict[str, list] = {}
    for row in made:
        documents.setdefault(row["document"], []).append(row)
    assert all([row["turn"] for row in lines] == list(range(len(lines))) for lines in documents.values())
    questions = [
        (row, lines[row["turn"] + 1])
        for lines in list(documents.values())[:-1]
        for row in lines
        if row["english"].endswith("?")
    ]
    assert len(questions) > 30
    assert all(len(reply["english"].split()) <= 4 for _, reply in questions)


def test_a_documents_lines_keep_to_a_domain():
    made = rows("plain_text", count=900, split="train")
    inside = outside = 0
    for row in made:
        words = re.findall(r"\w+", row["text"])
        domains = [ANIMALS.index(word) // 3 for word in words if word in ANIMALS]
        domains += [WORKERS.index(word) // 3 for word in words if word in WORKERS]
        verbs = [VERBS.index(word) // 6 for word in words if word in VERBS]
        for domain in domains:
            inside, outside = inside + (domain == verbs[0]), outside + (domain != verbs[0])
    assert inside > 1.5 * outside


# --- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"format": "pairs"}, "no format 'pairs'"),
        ({"language": "xx"}, "no language 'xx'"),
        ({"split": "eval"}, "no split 'eval'"),
        ({"rows": -1}, "-1 rows"),
    ],
)
def test_mistakes_are_named(change, named):
    asked = {"format": "parallel", "dataset": "d", "language": "en", "split": "test", "rows": 1, "seed": 0, **change}
    with pytest.raises(UserError, match=named):
        table(asked.pop("format"), **asked)
