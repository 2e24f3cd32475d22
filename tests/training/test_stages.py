"""The training stages: what they read, draw, refuse and leave."""

import json
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from tests.training.worlds import (
    FORMATS,
    LABELS,
    LABELS_OF,
    context,
    digest,
    events,
    make_base,
    make_encoded,
    run_stage,
)
from xtreme_dag.core.errors import UserError
from xtreme_dag.heads.trained import load_model
from xtreme_dag.tables.encoded import open_encoded
from xtreme_dag.training.intermediate import _own_share
from xtreme_dag.training.stages import intermediate, pretrain_text, target
from xtreme_dag.training.tables import SelectionTable, TrainingTable

RECIPE = {"learning_rate": 3e-3, "batch_size": 16, "epochs": 1}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def tables(tmp_path_factory, base):
    """Encoded training tables: head -> language -> folder, with equal ids in all languages."""
    folder = tmp_path_factory.mktemp("tables")
    return {
        (head, language): make_encoded(folder / f"{head}-{language}", head, 90, base, language=language)
        for head, language in [("classification", code) for code in ("en", "de", "fr")]
        + [(head, "en") for head in FORMATS if head != "classification"]
    }


def training(folder):
    return json.loads((folder / "training.json").read_text())


def entry(head, *languages, **more):
    """A task of a mixture."""
    parts = [{"dataset": head, "language": language} for language in languages]
    return {"task": head, "head": head, "labels": LABELS_OF.get(head), "parts": parts, **more}


def mix(base, tables, folder, mixture, budget=None, **params):
    """Runs the intermediate stage; returns its artifact."""
    inputs = {"model": base, **{f"train/{head}/{code}": path for (head, code), path in tables.items()}}
    run = context(folder)
    intermediate({"seed": 7, "mixture": mixture, "budget": budget, "recipe": RECIPE, **params}, inputs, run)
    return run.out


def drawn(folder):
    """(task, language) -> ids in pool order."""
    found = {}
    for row in pq.read_table(folder / "drawn.parquet").to_pylist():
        found.setdefault((row["task"], row["language"]), []).append(row["id"])
    return found


@pytest.mark.parametrize("head", sorted(FORMATS))
def test_a_target_of_every_head_learns_and_leaves_a_model(head, base, tables, tmp_path):
    dev = make_encoded(tmp_path / "dev", head, 30, base, seed=5, split="dev")
    recipe = {**RECIPE, "epochs": 6, "select_every": 12, "select_examples": 25, "micro_batch_tokens": 300}
    params = {
        "seed": 1,
        "task": "goal",
        "dataset": "goal",
        "head": head,
        "labels": LABELS_OF.get(head),
        "recipe": recipe,
    }
    run = context(tmp_path / "run")
    figures = target(params, {"model": base, "train": tables[head, "en"], "select": dev}, run)
    report = training(run.out)
    assert report["loss_curve"][-1] < report["loss_curve"][0] or head in ("mlm", "multiple_choice")
    assert len(report["selection"]) == 3 and report["steps_done"] == report["steps"] == 34
    assert figures["tokens_per_s"] > 0
    model = load_model(run.out)
    assert list(model.specs) == ["goal"] and model.specs["goal"].kind == head
    assert len(model.encoder.word_embeddings()) == 65, "the whole vocabulary is back"
    text = json.dumps(report) + (run.out / "encoder" / "config.json").read_text()
    assert str(tmp_path) not in text and "time" not in report


def test_weights_stored_as_bf16_are_the_trained_ones_rounded(base, tables, tmp_path):
    stored = {}
    for storage in ("fp32", "bf16"):
        run = context(tmp_path / storage)
        params = {"seed": 1, "task": "goal", "dataset": "goal", "head": "classification", "labels": LABELS}
        params["recipe"] = {**RECIPE, **({"storage": storage} if storage != "fp32" else {})}
        figures = target(params, {"model": base, "train": tables["classification", "en"]}, run)
        assert figures["storage"] == storage and training(run.out).get("storage", "fp32") == storage
        stored[storage] = run.out
    assert training(stored["fp32"])["loss_digest"] == training(stored["bf16"])["loss_digest"]
    whole, half = (load_file(stored[name] / "encoder" / "model.safetensors") for name in ("fp32", "bf16"))
    assert {tensor.dtype for tensor in half.values()} == {torch.bfloat16}
    assert all(torch.equal(half[name], whole[name].to(torch.bfloat16)) for name in whole)
    sizes = [(stored[name] / "encoder" / "model.safetensors").stat().st_size for name in ("fp32", "bf16")]
    assert sizes[1] < 0.6 * sizes[0]
    assert (stored["fp32"] / "heads.safetensors").read_bytes() == (stored["bf16"] / "heads.safetensors").read_bytes()
    loaded = load_model(stored["bf16"])
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    # It is trained on as any other model is, and written in float32 again if nothing else is said.
    again = context(tmp_path / "again")
    target({**params, "recipe": RECIPE}, {"model": stored["bf16"], "train": tables["classification", "en"]}, again)
    assert {one.dtype for one in load_file(again.out / "encoder" / "model.safetensors").values()} == {torch.float32}


def test_the_mixture_is_what_was_asked_for(base, tables, tmp_path):
    mixture = [entry("classification", "en", "de", share=0.75), entry("tagging", "en", share=0.25)]
    mixture[0]["parts"][0]["share"], mixture[0]["parts"][1]["share"] = 0.5, 0.5
    out = mix(base, tables, tmp_path, mixture, {"examples": 80})
    rows = {(row["task"], row["language"]): row for row in training(out)["composition"]}
    assert {key: row["examples"] for key, row in rows.items()} == {
        ("classification", "en"): 30, ("classification", "de"): 30, ("tagging", "en"): 20}  # fmt: skip
    assert {key: len(ids) for key, ids in drawn(out).items()} == {key: row["examples"] for key, row in rows.items()}
    assert training(out)["shared_items"] == 0, "disjoint items by default"
    assert training(out)["steps"] == 4 + 2
    lengths = open_encoded(tables["tagging", "en"]).example_lengths
    names = open_encoded(tables["tagging", "en"]).example_ids
    assert rows["tagging", "en"]["tokens"] == sum(lengths[names.index(name)] for name in drawn(out)["tagging", "en"])


@pytest.mark.parametrize("items", ["disjoint", "parallel", "independent"])
def test_english_of_the_mixture_is_a_subset_of_english_alone(items, base, tables, tmp_path):
    alone = mix(base, tables, tmp_path / "english", [entry("classification", "en")], {"examples": 60}, items=items)
    mixed = mix(
        base, tables, tmp_path / "mixed", [entry("classification", "de", "en", "fr")], {"examples": 60}, items=items
    )
    english, parts = drawn(alone)["classification", "en"], drawn(mixed)
    assert parts["classification", "en"] == english[:20]
    others = [set(parts["classification", code]) for code in ("de", "fr")]
    mine = set(parts["classification", "en"])
    assert training(alone)["steps"] == training(mixed)["steps"]
    if items == "parallel":
        assert others == [mine, mine]
    if items == "disjoint":
        assert len(mine | others[0] | others[1]) == 60
    if items == "independent":
        assert 0 < len(mine & others[0]) < 20


@pytest.mark.parametrize(("budget", "steps", "examples"), [({"steps": 5}, 5, 80), ({"examples": 33}, 3, 33)])
def test_budgets(budget, steps, examples, base, tables, tmp_path):
    report = training(mix(base, tables, tmp_path, [entry("classification", "en")], budget))
    assert report["steps"] == steps and report["composition"][0]["examples"] == examples


def test_token_budgets_are_divided_by_share(base, tables, tmp_path):
    report = training(mix(base, tables, tmp_path, [entry("classification", "en", "de")], {"tokens": 900}))
    tokens = [row["tokens"] for row in report["composition"]]
    assert all(410 <= count <= 450 for count in tokens)


def test_shuffled_labels_keep_everything_but_the_sense(base, tables, tmp_path):
    mixture = [
        entry("classification", "en"),
        entry("tagging", "en"),
        entry("span", "en"),
        entry("multiple_choice", "en"),
    ]
    real = mix(base, tables, tmp_path / "real", mixture, {"examples": 120})
    fake = mix(base, tables, tmp_path / "fake", mixture, {"examples": 120}, control="shuffled_labels")
    assert drawn(real) == drawn(fake) and training(real)["composition"] == training(fake)["composition"]
    assert training(real)["loss_digest"] != training(fake)["loss_digest"]


def test_a_head_can_be_kept(base, tables, tmp_path):
    first = mix(base, tables, tmp_path / "first", [entry("multiple_choice", "en")], {"examples": 40})
    params = {"seed": 1, "task": "next", "dataset": "next", "head": "multiple_choice", "recipe": {**RECIPE, "learning_rate": 1e-9},
              "keep_head": True}  # fmt: skip
    inputs = {"model": first, "train": tables["multiple_choice", "en"]}
    run = context(tmp_path / "second")
    target(params, inputs, run)
    one, two = load_model(first).heads["multiple_choice"], load_model(run.out).heads["next"]
    assert torch.allclose(one.out.weight, two.out.weight, atol=1e-6)
    assert training(run.out)["head_from"] == "multiple_choice"
    fresh = context(tmp_path / "third")
    target({**params, "keep_head": False}, inputs, fresh)
    assert not torch.allclose(one.out.weight, load_model(fresh.out).heads["next"].out.weight, atol=1e-3)
    unfit = {**params, "head": "classification", "labels": LABELS}
    with pytest.raises(UserError, match="no head of the model fits"):
        target(unfit, {"model": first, "train": tables["classification", "en"]}, context(tmp_path / "fourth"))


def test_fresh_heads_depend_on_the_seed_and_not_on_the_condition(base, tables, tmp_path):
    first = mix(base, tables, tmp_path / "first", [entry("tagging", "en")], {"examples": 40})
    params = {"seed": 1, "task": "t", "dataset": "t", "head": "classification", "labels": LABELS,
              "recipe": {**RECIPE, "learning_rate": 1e-12, "weight_decay": 0.0}}  # fmt: skip
    heads = []
    for number, model in enumerate([base, first]):
        run = context(tmp_path / f"target{number}")
        target(params, {"model": model, "train": tables["classification", "en"]}, run)
        heads.append(load_model(run.out).heads["t"].dense.weight)
    assert torch.allclose(heads[0], heads[1], atol=1e-8)


def test_test_rows_reach_neither_training_nor_selection(base, tmp_path):
    folder = make_encoded(tmp_path / "test", "tagging", 20, base, split="test")
    for kind in (TrainingTable, SelectionTable):
        with pytest.raises(UserError, match="test split"):
            kind(open_encoded(folder))
    params = {
        "seed": 1,
        "task": "t",
        "dataset": "t",
        "head": "tagging",
        "labels": LABELS_OF["tagging"],
        "recipe": {**RECIPE, "select_every": 2},
    }
    with pytest.raises(UserError, match="must not be trained on"):
        target(params, {"model": base, "train": folder}, context(tmp_path / "one"))
    train = make_encoded(tmp_path / "train", "tagging", 20, base)
    with pytest.raises(UserError, match="must not be used for model selection"):
        target(params, {"model": base, "train": train, "select": folder}, context(tmp_path / "two"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": {"examples": 400}}, "400 examples and there are 90.*|repeat: true"),
        ({"budget": {"example": 4}}, "did you mean 'examples'"),
        ({"budget": {"examples": 4, "steps": 2}}, "one of examples, tokens, steps"),
        ({"items": "paralel"}, "did you mean 'parallel'"),
        ({"control": "shuffle"}, "valid: shuffled_labels"),
        ({"mixture": [{**entry("classification", "en"), "langs": 1}]}, "no key 'langs'"),
        ({"mixture": [entry("classification", "sw")]}, "train/classification/sw"),
        ({"mixture": [entry("tagging", "en", share=0.4), entry("span", "en", share=0.4)]}, "sum to 0.8"),
        ({"mixture": [{**entry("classification", "en"), "head": "tagging"}]}, "encoded for the head 'classification'"),
        ({"mixture": [entry("mlm", "en")], "control": "shuffled_labels"}, "no labels to shuffle"),
    ],
)
def test_mistakes_in_a_mixture_are_named(change, message, base, tables, tmp_path):
    given = {"mixture": [entry("classification", "en")], "budget": {"examples": 20}, **change}
    with pytest.raises(UserError, match=message):
        mix(base, tables, tmp_path, **given)


def test_repetition_is_possible_when_asked_for(base, tables, tmp_path):
    report = training(mix(base, tables, tmp_path, [entry("tagging", "en")], {"examples": 200}, repeat=True))
    assert report["composition"][0]["examples"] == 200 and report["composition"][0]["distinct"] == 90


@pytest.mark.parametrize("budget", [{"examples": 200}, {"examples": 300}, {"steps": 40}, {"tokens": 4000}])
def test_languages_repeat_items_of_their_own_where_there_are_too_few(base, tables, tmp_path, budget):
    entries = [entry("classification", "en", "de", "fr")]
    folder = mix(base, tables, tmp_path, entries, budget, repeat=True)
    report, found = training(folder), drawn(folder)
    distinct = {language: set(ids) for (_task, language), ids in found.items()}
    assert report["shared_items"] == 0 and sum(len(ids) for ids in distinct.values()) <= 90
    assert all(25 <= len(ids) <= 35 for ids in distinct.values())
    counts = [each["examples"] for each in report["composition"]]
    assert max(counts) - min(counts) <= 1 or "tokens" in budget


def table_of(*names):
    return SimpleNamespace(example_ids=list(names), example_lengths=np.array([2] * len(names)))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_language_is_left_without_items(data):
    """Whatever tables have in common: each language draws something, nothing comes in two languages."""
    count = data.draw(st.integers(2, 4))
    items = [f"i{number}" for number in range(data.draw(st.integers(count, 30)))]
    some = st.lists(st.sampled_from(items), min_size=count, unique=True)
    tables = [table_of(*data.draw(some)) for _ in range(count)]
    wanted = [float(data.draw(st.integers(1, 60))) for _ in tables]
    taken: set[str] = set()
    for turn, table in enumerate(tables):
        order = np.array([row for row, name in enumerate(table.example_ids) if name not in taken], dtype=np.int64)
        others = {name for each in tables[turn + 1 :] for name in each.example_ids} - taken
        mine = {table.example_ids[row] for row in order}
        if turn < count - 1:
            order = _own_share(order, tables[turn:], wanted[turn:], taken)
        drawn = {table.example_ids[row] for row in order[: int(wanted[turn])]}
        assert drawn or not mine
        if sum(wanted[turn:]) <= len(mine | others):
            assert len(drawn) == min(len(mine), wanted[turn])  # nothing is held back where there is enough
        taken |= drawn


def test_common_items_are_divided_by_what_is_wanted():
    names = [f"i{number}" for number in range(90)]
    order, whole = np.arange(90), table_of(*names)
    for wanted, left in (([100.0, 100.0], 45), ([1999.0, 1.0], 89), ([160.0, 40.0], 72)):
        assert len(_own_share(order, [whole, whole], wanted, set())) == left
    assert len(_own_share(order, [whole, table_of(*names[:89])], [100.0, 100.0], set())) in (45, 46)
    many = table_of(*names, *(f"j{number}" for number in range(900)))
    assert len(_own_share(order, [whole, many], [100.0, 100.0], set())) == 90


def test_patience_ends_training_and_the_best_is_kept(base, tables, tmp_path):
    dev = make_encoded(tmp_path / "dev", "classification", 30, base, seed=9, split="dev")
    recipe = {"learning_rate": 1e-9, "batch_size": 8, "epochs": 50, "select_every": 2, "patience": 3}
    params = {"seed": 1, "task": "t", "dataset": "t", "head": "classification", "labels": LABELS, "recipe": recipe}
    run = context(tmp_path / "run")
    target(params, {"model": base, "train": tables["classification", "en"], "select": dev}, run)
    report = training(run.out)
    assert report["kept_step"] == 2 and report["steps_done"] == 8 and len(report["selection"]) == 4


def test_pretraining_from_text_is_reproducible(base, tmp_path):
    import pyarrow as pa

    from tests.training.worlds import rows
    from xtreme_dag.tables.canonical import SCHEMAS, write_table

    for name in ("en", "de"):
        (tmp_path / name).mkdir()
        table = pa.Table.from_pylist(rows("plain_text", 80, seed=len(name)), schema=SCHEMAS["plain_text"])
        write_table(table, tmp_path / name / "table.parquet")
    params = {"seed": 2, "vocabulary_size": 120, "model": {"hidden_size": 32, "heads": 2},
              "recipe": {"epochs": 20, "learning_rate": 2e-2, "mlm_probability": 0.3}}  # fmt: skip
    inputs = {f"text/{name}": tmp_path / name for name in ("en", "de")}
    for name in ("one", "two"):
        run_stage("pretrain_text", params, inputs, tmp_path / name)
    assert digest(tmp_path / "one" / "out") == digest(tmp_path / "two" / "out")
    report = training(tmp_path / "one" / "out")
    assert report["loss_curve"][-1] < report["loss_curve"][0] - 0.3
    assert [row["dataset"] for row in report["composition"]] == ["de", "en"]
    model = load_model(tmp_path / "one" / "out")
    assert list(model.specs) == ["mlm"] and model.encoder.hidden_size == 32
    with pytest.raises(UserError, match="no text"):
        pretrain_text(params, {}, context(tmp_path / "none"))
    with pytest.raises(UserError, match="did you mean 'layers'"):
        pretrain_text({**params, "model": {"layer": 1}}, inputs, context(tmp_path / "wrong"))


def test_a_loss_that_is_not_finite_is_an_error(base, tables, tmp_path):
    params = {"seed": 1, "task": "t", "dataset": "t", "head": "classification", "labels": LABELS,
              "recipe": {**RECIPE, "learning_rate": 1e30, "warmup": 0.0, "max_grad_norm": 0.0}}  # fmt: skip
    with pytest.raises(UserError, match="not finite"):
        target(params, {"model": base, "train": tables["classification", "en"]}, context(tmp_path))


def test_progress_carries_speed(base, tables, tmp_path):
    params = {"seed": 1, "task": "t", "dataset": "t", "head": "classification", "labels": LABELS, "recipe": RECIPE}
    run_stage("target", params, {"model": base, "train": tables["classification", "en"]}, tmp_path, log_steps=2)
    seen = [event for event in events(tmp_path) if event["event"] == "progress"]
    assert [event["done"] for event in seen] == [2, 4, 6] and seen[-1]["total"] == 6
    assert all(event["tokens_per_s"] > 0 and 0 < event["mfu"] < 1 and event["memory_mb"] > 10 for event in seen)
    assert np.isfinite([event["loss"] for event in seen]).all()
