"""Small files of every kind that the program reads, to be spoilt: raw data, submissions, studies, models, records."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.data import release_files as release
from xtreme_dag.core.files import sha256_of

NLI = ("contradiction", "entailment", "neutral")


@dataclass(frozen=True, kw_only=True)
class Raw:
    """Raw files of one table.

    Attributes:
        reader: its name.
        format: of the table.
        files: role -> content.
        options: of the reader.
        labels: the label set.
    """

    reader: str
    format: str
    files: Mapping[str, bytes]
    options: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()


def _lines(*records: Any) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def _squad(**given: Any) -> bytes:
    return json.dumps(release.squad_json("de", 8, **given), ensure_ascii=False).encode()


def _mention(number: int) -> dict[str, Any]:
    return {
        "example_id": f"m{number}", "entity_id": f"Q{number}", "mention_span": {"start": 4, "end": 8, "text": "Haus"},
    }  # fmt: skip


_CONTEXT = {
    "document_id": "d",
    "language": "de",
    "text": "Das Haus. Der Weg.",
    "sentence_spans": [{"start": 0, "end": 9}],
}
_ENTITY = {"entity_id": "Q1", "description": "a house", "title": "House"}
_TSV = release.tsv(release.pairs("de", "train", 6)).encode()
_CSV = b'id,a,b,y\n1,"one, two","say ""x""",0\n2,three,"four\nfive",1\n'
_COPA = [
    {"premise": "p", "choice1": "a", "choice2": "b", "question": "cause", "label": n % 2, "idx": n} for n in range(3)
]
_CHOICE = {"context": "context", "question": "question", "choices": ["choice1", "choice2"], "label": "label", "id": "idx", "label_values": [0, 1]}  # fmt: skip
_CONLLU = (
    b"# text = zum Haus\n1-2\tzum\t_\t_\t_\t_\t_\t_\t_\t_\n1\tzu\tzu\tADP\t_\t_\t3\tcase\t_\t_\n"
    b"2\tdem\tder\tDET\t_\t_\t3\tdet\t_\t_\n3\tHaus\tHaus\tNOUN\t_\t_\t0\troot\t_\t_\n3.1\tx\tx\tX\t_\t_\t_\t_\t_\t_\n\n"
    b"1\tJa\tja\tINTJ\t_\t_\t0\troot\t_\t_\n\n"
)
_XML = (
    b"<corpus>\n"
    b'<item id="1" asks-for="cause" most-plausible-alternative="1"><p>P.</p><a1>A.</a1><a2>B.</a2></item>\n'
    b'<item id="2" asks-for="effect" most-plausible-alternative="2"><p>Q.</p><a1>C.</a1><a2>D.</a2></item>\n</corpus>\n'
)

RAW: tuple[Raw, ...] = (
    Raw(reader="pairs", format="pair_classification", files={"table": _TSV}, labels=NLI,
        options={"columns": ["text_a", "text_b", "label"]}),
    Raw(reader="pairs", format="pair_classification", labels=NLI, options={"columns": ["text_a", "text_b"], "header": True},
        files={"table": b'premise\thypothesis\n"a ""q"""\tb\nc\td\n', "labels": b"neutral\nentailment\n"}),
    Raw(reader="pairs", format="pair_classification", labels=NLI,
        options={"columns": ["text_a", "text_b"], "labels": {"column": "{language}"}, "rename": {"n": "neutral"}},
        files={"table": gzip.compress(b"a\tb\nc\td\n", mtime=0), "labels": b"en\tde\nx\tneutral\nx\tn\n"}),
    Raw(reader="pairs_named", format="pair_classification", labels=NLI,
        options={"text_a": "s1", "text_b": "s2", "label": "gold", "language": "lang", "id": "pair", "keep_split": "dev"},
        files={"table": b"pair\tlang\ts1\ts2\tgold\n1\tde\ta\tb\tneutral\n2\ten\tc\td\tneutral\n", "splits": b"dev\ntest\n"}),
    Raw(reader="pairs_csv", format="pair_classification", files={"a": _CSV}, labels=("0", "1"),
        options={"id": "id", "text_a": "a", "text_b": "b", "label": "y", "rename": {"x": "0"}}),
    Raw(reader="pairs_jsonl", format="pair_classification", labels=NLI,
        options={"text_a": "a", "text_b": "b", "label": "y", "drop": ["-"], "rename": {"n": "neutral"}},
        files={"a": _lines({"a": "x", "b": "y", "y": "neutral"}, {"a": "x", "b": "y", "y": "-"}, {"a": "u", "b": "v", "y": "n"})}),
    Raw(reader="pairs_lines", format="pair_classification", labels=NLI,
        files={"text_a": b"a\nb\n", "text_b": b"c\nd\n", "label": b"neutral\nneutral\n"}),
    Raw(reader="choices_jsonl", format="multiple_choice", files={"a": _lines(*_COPA)},
        options={"context": "premise", "question": "question", "copa": True, "choices": ["choice1", "choice2"],
                 "label": "label", "label_values": [0, 1], "id": "idx"}),
    Raw(reader="choices_jsonl", format="multiple_choice",
        files={"a": _lines({"q": {"stem": "s", "options": [{"t": "a"}, {"t": "b"}]}, "key": "A"}, {"q": {"stem": "s", "options": []}, "key": ""})},
        options={"question": "q.stem", "choices": "q.options", "choice_text": "t", "label": "key", "label_values": ["A", "B"]}),
    Raw(reader="choices_csv", format="multiple_choice", options=_CHOICE,
        files={"a": b"idx,context,question,choice1,choice2,label\n1,c,q,a,b,0\n2,c,q,a,b,1\n"}),
    Raw(reader="choices_lines", format="multiple_choice", files={"a": b"ctx\n2\na\nb\nc\nd\nctx\n0\na\nb\nc\nd\n"}),
    Raw(reader="copa_xml", format="multiple_choice", files={"a": _XML}, options={"items": [1, 500]}),
    Raw(reader="tags", format="tagging", files={"a": b"der\tDET\nHaus\tNOUN\n\nja\tINTJ\n"}, labels=("DET", "NOUN", "INTJ")),
    Raw(reader="tags", format="tagging", files={"a": b"de:der\tO\nde:Rom\tB-LOC\n\n"}, options={"prefix": True}),
    Raw(reader="conllu", format="tagging", files={"a": _CONLLU}, options={"tokens": "surface"}),
    Raw(reader="conllu", format="tagging", files={"a": _CONLLU}, options={"tokens": "words"}),
    Raw(reader="ccg", format="tagging", files={"a": b"a|DT|NP/N house|NN|N\nyes|UH|S\n"}),
    Raw(reader="squad", format="span_qa", files={"table": _squad()}, options={"drop_blank": True}),
    Raw(reader="squad", format="span_qa", options={"ids": ["splits", "dev"], "derive_ids": True, "id_prefix": "q"},
        files={"table": _squad(), "ids": b'{"splits": {"dev": ["q0-0-0", "q1-1-1"]}}', "exclude": _squad(first=1)}),
    Raw(reader="squad_retrieval", format="qa_retrieval", files={"table": _squad()}),
    Raw(reader="lareqa", format="qa_retrieval", files={"table": _squad(breaks=True)}),
    Raw(reader="bucc", format="bitext_mining", options={"part_pool": {"of": 2, "keep": [0]}},
        files={"text": b"de-1\tHaus.\nde-2\tWeg.\n", "english": b"en-1\tHouse.\nen-2\tWay.\n", "gold": b"de-1\ten-1\n"}),
    Raw(reader="mewslix", format="entity_linking",
        files={"mentions": _lines({"context": _CONTEXT, "mentions": [_mention(1), _mention(2)]}), "entities": _lines(_ENTITY)}),
    Raw(reader="mewslix_pairs", format="entity_linking",
        files={"pairs": _lines({"contextual_mention": {"context": _CONTEXT, "mention": _mention(1)}, "entity": _ENTITY})}),
    Raw(reader="parallel_lines", format="parallel", files={"text": b"Haus\nWeg\n", "english": b"house\nway\n"}),
    Raw(reader="parallel_documents", format="parallel_text", files={"text": b"Haus\n\nWeg\n", "english": b"house\n\nway\n"}),
    Raw(reader="plain", format="plain_text", files={"a": b"Ein Satz.\n\nNoch einer.\n"}),
)  # fmt: skip

# Task of the layout -> language, labels, predictions.
SUBMISSIONS: Mapping[str, tuple[str, bytes, bytes]] = {
    "xnli": ("de", b"neutral\nentailment\n" * 6, b"neutral\nneutral\n" * 6),
    "udpos": ("de", b"DET\nNOUN\n\nINTJ\n\n", b"DET\nX\n\nINTJ\n\n"),
    "panx": ("de", "B-LOC\nO\n\nB-PÄR\n\n".encode(), b"B-LOC\nO\n\nO\n\n"),
    "xquad": ("de", _squad(), json.dumps({"q0-0-0": "a b", "q1-0-1": "c"}).encode()),
    "mlqa": ("zh", _squad(), json.dumps({"q0-0-0": "天地", "q1-0-1": ""}).encode()),
    "tatoeba": ("de", b"1\n0\n2\n", b"1\n2\n2\n"),
    "bucc2018": ("de", b"de-1\ten-1\nde-2\ten-2\n", b"de-1\ten-1\nde-2\ten-9\n"),
    "xcopa": ("et", _lines({"label": 0}, {"label": 1}), _lines({"label": 1}, {"label": 1})),
    "lareqa": ("de", json.dumps({"q1": ["c1", "c2"], "q2": ["c3"]}).encode(), json.dumps({"q1": ["c2", "c9"], "q2": []}).encode()),
    "mewslix": ("de", json.dumps({"m1": ["Q1"], "m2": ["Q2"]}).encode(), json.dumps({"m1": ["Q2", "Q1"], "m2": ["Q2"]}).encode()),
}  # fmt: skip

STUDY: Mapping[str, Any] = {
    "study": "drill",
    "question": "Does it hold?",
    "data": {"miniworld": {"seed": 7, "languages": ["en", "qaa", "qab"], "train": 24, "select": 8, "test": 8},
             "limit": {"train": 20, "datasets": {"xnli": {"test": 6}}}},
    "model": {"pretrain": {"kind": "planted", "seed": 1, "steps": 2, "sentences": 20, "learning_rate": 3.0e-4}},
    "seeds": [1, 2],
    "languages": ["en", "qaa"],
    "intermediate": {
        "none": {"description": "nothing"},
        "mixed": {
            "mixture": [{"dataset": "xnli", "languages": ["en"], "share": 0.5},
                        {"dataset": "xnli", "languages": ["qab"], "translated": "lexicon", "share": 0.5, "task": "other"}],
            "budget": {"examples": 10},
            "repeat": True,
            "recipe": {"epochs": 1},
        },
        "text": {"mixture": [{"dataset": "parallel_text", "languages": ["qaa"], "objective": {"name": "tlm"}}],
                 "budget": {"steps": 2}, "repeat": True},
    },
    "targets": ["xnli", "udpos"],
    "recipe": {"name": "quick", "target": {"default": {"epochs": 1, "batch_size": 8, "examples": 16}}},
    "compare": {"baseline": "none"},
}  # fmt: skip

_FILES = {"table.parquet": ["a" * 64, 12], "counts.json": ["b" * 64, 3]}
RECORD_KEY = "c" * 64
RECORD: Mapping[str, Any] = {
    "schema": 2, "key": RECORD_KEY, "digest": sha256_of({name: entry[0] for name, entry in _FILES.items()}),
    "code": "d" * 64, "name": "prepare[xnli | en | train]", "kind": "prepare", "function": "a.b:c", "host": "here",
    "git_commit": "", "started": "2026-01-01T00:00:00+00:00", "params": {"limit": None}, "libraries": {"pyarrow": "1"},
    "inputs": {"table": {"digest": "e" * 64, "key": "f" * 64, "part": "", "read": 1.5}}, "options": {}, "figures": {"rows": 3},
    "seconds": 0.5, "peak_memory_bytes": 1000, "files": _FILES, "study": "drill",
}  # fmt: skip
LEDGER = _lines(
    {"time": "2026-01-01T00:00:00+00:00", "run": "r", "study": "drill", "stage": "a", "kind": "prepare", "key": "c" * 64,
     "outcome": "succeeded", "seconds": 0.5},
    {"time": "2026-01-01T00:00:00+00:00", "run": "r", "study": "drill", "stage": "b", "kind": "check", "key": "",
     "outcome": "failed", "error": "because"},
    {"time": "2026-01-01T00:00:00+00:00", "run": "r", "study": "drill", "stage": "c", "kind": "check", "key": "", "outcome": "not run"},
)  # fmt: skip
LANDING: Mapping[str, Any] = {
    "study": {"name": "drill", "question": "?", "baseline": "none", "conditions": [{"name": "none", "description": {}}],
              "targets": ["xnli"], "seeds": [1], "recipe": {}, "source_language": "en",
              "languages": [{"code": "en", "name": "English"}],
              "tasks": [{"name": "xnli", "title": "XNLI", "group": "classification", "benchmarks": {"xtreme": ["en"]}}]},
    "evaluations": [{"stage_key": "c" * 64, "condition": "none", "task": "xnli", "language": "en", "split": "test", "seed": 1,
                     "primary": "accuracy", "artifact": "store/objects/aa/" + "a" * 64, "digest": "a" * 64}],
    "contracts": [{"dataset": "xnli", "language": "en", "split": "test", "ok": True, "rules": 3, "violations": []}],
    "stages": [{"key": "c" * 64, "kind": "evaluate", "name": "e", "digest": "a" * 64}], "history": [], "origin": "",
}  # fmt: skip
CACHE: Mapping[str, Any] = {"/a/b": [12, 1, 1, 5, "a" * 64, 1.5], "/a/c": [1, 1, 1, 1, "b" * 64, 2.5]}
