"""Release files of the formats that `tests/e2e` has none of: choices, MLQA, mining pools, answer and entity retrieval."""

import json

from tests.e2e.conftest import squad
from xtreme_dag.miniworld.source import table

# XTREME's code -> the generated language that stands for it.
WORLD = {"en": "en", "de": "qaa", "ru": "qac", "et": "qad"}


def made(format_, code, rows, split="test", dataset="d"):
    return table(format_, dataset=dataset, language=WORLD[code], split=split, rows=rows, seed=5).to_pylist()


def put(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def put_json_lines(path, records):
    put(path, *(json.dumps(record, ensure_ascii=False) for record in records))


def write_release(folder, rows):
    """What a study of XCOPA, MLQA, BUCC, LAReQA and Mewsli-X reads, with so many test examples a language."""
    put(folder / "squad" / "train-v1.1.json", squad(made("span_qa", "en", 40, "train")))
    for code in ("en", "de"):
        name = f"test-context-{code}-question-{code}.json"
        put(folder / "mlqa" / "MLQA_V1" / "test" / name, squad(made("span_qa", code, rows)))
    write_choices(folder, rows)
    for code in ("de", "ru"):
        write_mining_pools(folder / "bucc2018", code, 2 * rows)
    for code in ("en", "de", "ru"):
        write_answer_pool(folder / "lareqa" / "xquad-r" / f"{code}.json", code, 2 * rows)
    write_entities(folder / "mewslix", ("en", "de"), 2 * rows)


def write_choices(folder, rows):
    sides = {"cause": "What was the cause?", "effect": "What was the effect?"}

    def record(number, row):
        kind = next((kind for kind, words in sides.items() if kind in row["question"]), "cause")
        first, second = row["choices"][:2]
        return {
            "premise": row["context"], "question": kind, "choice1": first, "choice2": second,
            "label": row["label"], "idx": number,
        }  # fmt: skip

    def records(code, split, count):
        return [record(number, row) for number, row in enumerate(made("multiple_choice", code, count, split))]

    put_json_lines(folder / "copa" / "train.en.jsonl", records("en", "train", 40))
    put_json_lines(folder / "xcopa" / "data" / "et" / "test.et.jsonl", records("et", "test", rows))
    social = [
        {"context": row["context"], "question": "Why?", "answerA": row["choices"][0], "answerB": row["choices"][1],
         "answerC": row["context"], "correct": "AB"[row["label"]]}
        for row in made("multiple_choice", "en", 40, "train", "social")
    ]  # fmt: skip
    put_json_lines(folder / "socialiqa" / "socialIQa_v1.4_trn.jsonl", social)


def write_mining_pools(folder, code, rows):
    pool = made("bitext_mining", code, rows)
    for side, ending in (("foreign", code), ("english", "en")):
        put(
            folder / f"{code}-en.test.{ending}", *(f"{row['id']}\t{row['text']}" for row in pool if row["side"] == side)
        )
    gold = [f"{row['id']}\t{other}" for row in pool if row["side"] == "foreign" for other in row["gold"]]
    put(folder / f"{code}-en.test.gold", *gold)


def write_answer_pool(path, code, rows):
    """Paragraphs of four sentences; a question's answer is the sentence that its gold candidate is."""
    pool = made("qa_retrieval", code, rows)
    candidates = [row for row in pool if row["side"] == "candidate"]
    asked = {}
    for row in pool:
        if row["side"] == "question":
            asked.setdefault(row["gold"][0], []).append(row)
    paragraphs = []
    for first in range(0, len(candidates), 4):
        sentences, breaks, qas, at = candidates[first : first + 4], [], [], 0
        for sentence in sentences:
            breaks.append([at, at + len(sentence["text"])])
            for row in asked.get(sentence["id"], ()):
                answers = [{"text": sentence["text"], "answer_start": at}]
                qas.append({"id": row["id"], "question": row["text"], "answers": answers})
            at += len(sentence["text"]) + 1
        texts = [sentence["text"] for sentence in sentences]
        paragraphs.append(
            {"context": " ".join(texts), "sentences": texts, "sentence_breaks": breaks, "qas": qas}
        )  # fmt: skip
    put(path, json.dumps({"version": "1.1", "data": [{"title": "", "paragraphs": paragraphs}]}))


def write_entities(folder, codes, rows):
    mentions = []
    for code in codes:
        for row in made("entity_linking", code, rows):
            if row["side"] == "mention":
                start = row["context"].index("{")
                text = row["context"].replace("{", "").replace("}", "")
                span = {"start": start, "end": start + len(row["text"]), "text": row["text"]}
                mention = {"example_id": f"{code}-{row['id']}", "mention_span": span, "entity_id": row["gold"][0]}
                context = {"language": code, "text": text, "sentence_spans": [[0, len(text)]]}
                mentions.append({"context": context, "mentions": [mention]})
    put_json_lines(folder / "wikinews_mentions-test.jsonl", mentions)
    entities = [row for row in made("entity_linking", "en", rows) if row["side"] == "entity"]
    put_json_lines(
        folder / "candidate_set_entities.jsonl",
        [{"entity_id": row["id"], "description": f"{row['text']}. {row['context']}"} for row in entities],
    )
