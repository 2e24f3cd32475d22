"""The loop's parts: trimmed vocabulary, cached dual gradients, masking, selection, running out of memory."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.worlds import FORMATS, LABELS, LABELS_OF, context, make_base, make_encoded, run_stage, tiny_config
from xtreme_dag.core.errors import UserError
from xtreme_dag.heads import IGNORED, HeadSpec
from xtreme_dag.heads.trained import load_model
from xtreme_dag.model.folder import new_encoder
from xtreme_dag.model.memory import ran_out_of_memory
from xtreme_dag.study.train_recipe import TrainRecipe
from xtreme_dag.tables.encoded import open_encoded
from xtreme_dag.training.attending import Attending, attending
from xtreme_dag.training.controls import shuffle_labels
from xtreme_dag.training.loop import train
from xtreme_dag.training.memory import Shortage, beyond_the_batch, out_of_memory_advice
from xtreme_dag.training.pools import Part, Pool, masking_for
from xtreme_dag.training.run import Run
from xtreme_dag.training.selection import Tracker, selection_pool
from xtreme_dag.training.tables import SelectionTable, TrainingTable, training_table
from xtreme_dag.training.target import target_head


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    base = make_base(folder / "base")
    pools = {}
    for head in FORMATS:
        source = training_table(make_encoded(folder / head, head, 60, base), head)
        spec = HeadSpec(kind=head, labels=tuple(LABELS_OF.get(head, ())))
        part = Part(source=source, dataset=head, language="en", rows=np.arange(60))
        pools[head] = Pool(name="task", spec=spec, parts=(part,))
    return base, pools


def trained(base, pool, folder, **recipe):
    """A model after a few steps, and what the run came to."""
    model = load_model(base)
    target_head(model, "task", pool.spec, seed=1, keep=False)
    settings = TrainRecipe(**{"learning_rate": 1e-3, "batch_size": 12, "epochs": 2, "weight_decay": 0.1, **recipe})
    outcome = train(model, Run(seed=4, recipe=settings, pools=(pool,)), context(folder))
    return model, outcome


def few_words(pool, words=range(5, 20)):
    """The pool without examples that use other ids than a few (and the special ones)."""
    part = pool.parts[0]
    allowed = np.isin(part.table.ids, [0, 1, 2, 3, *words])
    ids = np.where(allowed, part.table.ids, 5).astype(np.int32)
    table = replace(part.table, _columns={})
    table.__dict__["ids"] = ids
    return replace(pool, parts=(replace(part, source=TrainingTable(table)),))


@pytest.mark.parametrize("head", ["classification", "tagging"])
def test_a_trimmed_vocabulary_trains_the_same_model(world, tmp_path, head):
    """Also the rows that were left out: weight decay alone moves them."""
    base, pools = world
    pool = few_words(pools[head])
    small, outcome = trained(base, pool, tmp_path / "small")
    whole, reference = trained(base, pool, tmp_path / "whole", trim_vocabulary=False)
    assert outcome.figures["embedding_rows_trained"] == 18 and reference.figures["embedding_rows_trained"] == 65
    np.testing.assert_allclose(outcome.losses, reference.losses, rtol=1e-4)
    before = load_model(base).encoder.word_embeddings()
    rows, expected = small.encoder.word_embeddings(), whole.encoder.word_embeddings()
    torch.testing.assert_close(rows, expected, atol=3e-5, rtol=1e-4)
    assert not torch.allclose(rows[30:], before[30:], atol=1e-6), "unused rows decay"
    torch.testing.assert_close(rows[30:], expected[30:], atol=1e-7, rtol=1e-6)
    for (name, one), (_, two) in zip(small.named_parameters(), whole.named_parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-3, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("head", sorted(FORMATS))
@pytest.mark.parametrize("tokens", [60, 200])
def test_micro_batches_train_the_same_model(world, tmp_path, head, tokens):
    """Also a dual encoder's, whose candidates come from all micro-batches (its vectors' gradients are cached)."""
    base, pools = world
    one, whole = trained(base, pools[head], tmp_path / "whole")
    two, cut = trained(base, pools[head], tmp_path / "cut", micro_batch_tokens=tokens)
    np.testing.assert_allclose(cut.losses, whole.losses, rtol=2e-4, atol=1e-5)
    # a bias that a softmax over tokens or choices cancels has no gradient but rounding
    cancelled = "heads.task.out.bias" if head in ("multiple_choice", "span") else None
    for (name, mine), (_, theirs) in zip(one.named_parameters(), two.named_parameters(), strict=True):
        if name == cancelled:
            continue
        torch.testing.assert_close(mine, theirs, atol=2e-4, rtol=1e-2, msg=lambda text, name=name: f"{name}: {text}")


def test_cached_gradients_see_the_same_dropout(tmp_path):
    """The second pass over a part draws the numbers of the first: the run is its own equal."""
    base = make_base(tmp_path / "base", dropout=0.3)
    source = training_table(make_encoded(tmp_path / "dual", "dual", 30, base), "dual")
    part = Part(source=source, dataset="d", language="en", rows=np.arange(30))
    pool = Pool(name="task", spec=HeadSpec(kind="dual"), parts=(part,))
    _, one = trained(base, pool, tmp_path / "one", micro_batch_tokens=80, epochs=8, learning_rate=3e-3)
    _, two = trained(base, pool, tmp_path / "two", micro_batch_tokens=80, epochs=8, learning_rate=3e-3)
    assert np.array_equal(one.losses, two.losses)
    assert one.losses[-3:].mean() < 0.8 * one.losses[:3].mean()


def test_masks_are_a_function_of_seed_and_step(world):
    pool = world[1]["mlm"]
    masking = masking_for(pool, 0.15)
    batch = pool.batch(np.arange(60))
    one, again, later = masking.apply(batch, 1, 7), masking.apply(batch, 1, 7), masking.apply(batch, 1, 8)
    assert np.array_equal(one.ids, again.ids) and not np.array_equal(one.ids, later.ids)
    labels = one.token_gold["labels"]
    asked = labels != IGNORED
    assert np.array_equal(labels[asked], batch.ids[asked])
    assert np.array_equal(one.ids[~asked], batch.ids[~asked]), "other tokens stay"
    special = np.isin(batch.ids, list(pool.parts[0].table.info["special_ids"].values()))
    assert not (asked & special).any()


def test_mask_shares(world):
    """15 % of the ordinary tokens, of these 80 % masked, 10 % random, 10 % as they are."""
    pool = world[1]["mlm"]
    masking = masking_for(pool, 0.15)
    batch = pool.batch(np.tile(np.arange(60), 40))
    hidden = masking.apply(batch, 3, 0)
    ordinary = ~np.isin(batch.ids, masking.special)
    asked = hidden.token_gold["labels"] != IGNORED
    share = asked.sum() / ordinary.sum()
    assert abs(share - 0.15) < 3 * np.sqrt(0.15 * 0.85 / ordinary.sum())
    masked = (hidden.ids[asked] == masking.mask).mean()
    same = (hidden.ids[asked] == batch.ids[asked]).mean()
    error = 4 * np.sqrt(0.25 / asked.sum())
    assert abs(masked - 0.8) < error and abs(same - 0.1) < error


def test_the_tracker_wants_strict_improvement():
    tracker = Tracker(patience=2)
    assert [tracker.record(step, {"a": value, "b": 0.0}) for step, value in enumerate([0.5, 0.5, 0.6, 0.4])] == [
        True, False, True, False]  # fmt: skip
    assert not tracker.exhausted and tracker.best_step == 2
    tracker.record(4, {"a": 0.6, "b": 0.0})
    assert tracker.exhausted
    assert not Tracker(patience=0).exhausted


def test_selection_takes_the_first_labelled_rows(world, tmp_path):
    base, pools = world
    folder = make_encoded(tmp_path, "classification", 20, base, split="dev")
    table = open_encoded(folder)
    labels = table.per_example("label").copy()
    labels[:3] = -1
    table = replace(table, examples=table.examples.set_column(2, "label", [labels]))
    pool = selection_pool(pools["classification"], SelectionTable(table), "d", 5)
    assert pool.parts[0].rows.tolist() == [3, 4, 5, 6, 7]


def test_shuffled_gold_keeps_its_counts(world):
    pools = world[1]
    for head, column in (("classification", "label"), ("tagging", "labels")):
        part, fake = pools[head].parts[0], shuffle_labels(pools[head], 3).parts[0]
        real = part.table.per_example(column) if head == "classification" else part.table.per_token(column)
        assert not np.array_equal(real, fake.gold[column])
        assert np.array_equal(np.sort(real), np.sort(fake.gold[column]))
        assert np.array_equal(fake.gold[column], shuffle_labels(pools[head], 3).parts[0].gold[column])
    part, fake = pools["span"].parts[0], shuffle_labels(pools["span"], 3).parts[0]
    start, end = part.table.per_sequence("start"), part.table.per_sequence("end")
    assert np.array_equal(end - start, fake.gold["end"] - fake.gold["start"])
    assert np.array_equal(start > 0, fake.gold["start"] > 0) and not np.array_equal(start, fake.gold["start"])
    context_tokens = part.table.per_token("offsets").reshape(-1, 2)[:, 0] >= 0
    placed = np.flatnonzero(end > 0)
    assert context_tokens[part.table.offsets[placed] + fake.gold["start"][placed]].all()
    assert context_tokens[part.table.offsets[placed] + fake.gold["end"][placed]].all()


def test_unlabelled_examples_are_refused(world, tmp_path):
    from tests.training.worlds import rows
    from xtreme_dag.heads.encoding import encode
    from xtreme_dag.tables.canonical import SCHEMAS, write_table
    from xtreme_dag.training.stages import target

    base, _ = world
    import pyarrow as pa

    made = rows("pair_classification", 10)
    made[4]["label"] = None
    (tmp_path / "table").mkdir()
    write_table(pa.Table.from_pylist(made, schema=SCHEMAS["pair_classification"]), tmp_path / "table" / "table.parquet")
    encoded = context(tmp_path / "encoded")
    encode({"format": "pair_classification", "head": "classification", "labels": LABELS},
           {"table": tmp_path / "table", "tokenizer": base}, encoded)  # fmt: skip
    params = {"seed": 1, "task": "t", "dataset": "t", "head": "classification", "labels": LABELS, "recipe": {}}
    with pytest.raises(UserError, match="1 of 10 drawn examples have no label"):
        target(params, {"model": base, "train": encoded.out}, context(tmp_path / "run"))


SMALL_MEMORY = """
import json, os, resource, sys
from pathlib import Path
from tests.training.worlds import run_stage
import torch, transformers
from xtreme_dag.core.errors import UserError
from xtreme_dag.training import stages
folder, base, table = map(Path, sys.argv[1:4])
params = {"seed": 1, "task": "t", "dataset": "t", "head": "mlm", "recipe": json.loads(sys.argv[4])}
torch.ones(2, 2, requires_grad=True).sum().backward()
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 400 * 2**20,) * 2)
for name in ("fail", "halve"):
    if os.fork():  # each has the memory that the imports have left: torch may keep some of what it ran out in
        os.wait()
        continue
    (folder / name).mkdir()
    params["recipe"]["out_of_memory"] = name
    try:
        run_stage("target", params, {"model": base, "train": table}, folder / name)
    except UserError as error:
        print(name, error, flush=True)
    os._exit(0)
"""


def test_out_of_memory_is_advised_or_halved(tmp_path):
    """A process that may not take more than 400 MB beyond what its imports took."""
    base = make_base(tmp_path / "base")
    table = make_encoded(tmp_path / "mlm", "mlm", 8_000, base)
    recipe = {"batch_size": 8_000, "steps": 1, "mlm_probability": 0.9}
    # freed memory goes back to the system, so that a second attempt finds it
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
    command = [sys.executable, "-c", SMALL_MEMORY, str(tmp_path), str(base), str(table), json.dumps(recipe)]
    answer = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False, env=environment
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert "fail training: memory ran out at step 0, on 8000 examples with" in answer.stdout
    assert "set recipe.micro_batch_tokens below" in answer.stdout and "halve training" not in answer.stdout
    assert "out of memory at step 0: micro-batches" in (tmp_path / "halve" / "events.jsonl").read_text()
    params = {"seed": 1, "task": "t", "dataset": "t", "head": "mlm", "recipe": recipe}
    run_stage("target", params, {"model": base, "train": table}, tmp_path / "plenty")
    curves = [
        json.loads((tmp_path / name / "out" / "training.json").read_text())["loss_curve"]
        for name in ("halve", "plenty")
    ]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-4)


def test_memory_that_runs_out_before_the_device_has_the_batch_is_told_in_a_line(world, tmp_path, monkeypatch):
    def full(_stepper, _step):
        raise MemoryError("Unable to allocate 816. KiB")

    base, pools = world
    monkeypatch.setattr("xtreme_dag.training.step.Stepper.jobs", full)
    with pytest.raises(UserError, match="memory ran out in putting the batch of step 0 together: Unable to allocate"):
        trained(base, pools["mlm"], tmp_path)


def test_advice_is_what_can_be_done():
    """Halving is offered where it is possible: several examples, one process."""
    shortage = Shortage(examples=4, tokens=100, longest=40, message="no memory")
    assert "out_of_memory: halve" in out_of_memory_advice(3, shortage, halving=True).fix
    alone = out_of_memory_advice(3, shortage, halving=False).fix
    assert "micro_batch_tokens below 100" in alone and "halve" not in alone
    one = out_of_memory_advice(3, replace(shortage, examples=1), halving=False).fix
    assert "max_length" in one and "micro_batch_tokens" not in one
    with (
        pytest.raises(UserError, match="memory ran out in the optimizer's step 3: CUDA out of memory"),
        beyond_the_batch("the optimizer's step 3"),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory\nand more")
    with pytest.raises(RuntimeError, match="shapes differ"), beyond_the_batch("the optimizer's step 3"):
        raise RuntimeError("shapes differ")


def test_a_run_states_how_its_attention_departs_from_the_recipe():
    """torch's varlen_attn has no attention dropout: the manifest says so, where there is dropout to lose."""
    cuda, recipe = torch.device("cuda"), TrainRecipe()
    dropping, plain = new_encoder(tiny_config(dropout=0.1), 1), new_encoder(tiny_config(), 1)
    changed = attending(dropping, cuda, recipe)
    if changed.backend == "varlen":
        assert "attention dropout 0.1 -> 0" in changed.changes[0]
        assert not attending(plain, cuda, recipe).changes
        assert not attending(dropping, cuda, replace(recipe, dropout=0.0)).changes
    else:
        assert changed.backend == "flash" and not changed.changes
    assert attending(dropping, cuda, replace(recipe, precision="fp32")).backend == "split"
    assert attending(dropping, torch.device("cpu"), recipe) == Attending(backend="split")
    bucketed = attending(new_encoder(tiny_config("rembert"), 1), cuda, recipe)
    assert bucketed.backend == "buckets" and "rembert cannot be packed" in bucketed.notes[0]


def test_the_way_of_attention_reaches_the_log_and_the_figures(tmp_path):
    base = make_base(tmp_path / "base", "rembert")
    table = make_encoded(tmp_path / "tagging", "tagging", 20, base)
    source = training_table(table, "tagging")
    spec = HeadSpec(kind="tagging", labels=tuple(LABELS_OF["tagging"]))
    pool = Pool(name="task", spec=spec, parts=(Part(source=source, dataset="t", language="en", rows=np.arange(20)),))
    heard = []
    surroundings = replace(context(tmp_path / "run"), listen=heard.append)
    model = load_model(base)
    target_head(model, "task", spec, seed=1, keep=False)
    recipe = TrainRecipe(batch_size=10, steps=2)
    outcome = train(model, Run(seed=1, recipe=recipe, pools=(pool,)), surroundings)
    assert outcome.figures["attention"] == "buckets" and outcome.figures["recipe_changes"] == []
    assert any("rembert cannot be packed" in event.get("message", "") for event in heard)


def test_other_errors_are_not_taken_for_memory():
    assert ran_out_of_memory(MemoryError()) and ran_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert ran_out_of_memory(RuntimeError("std::bad_alloc"))
    assert not ran_out_of_memory(RuntimeError("shapes differ")) and not ran_out_of_memory(
        ValueError("not enough memory")
    )
