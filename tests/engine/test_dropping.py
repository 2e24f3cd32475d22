"""Weights that go once their scores stand: what stays, what comes back, what nobody may lose."""

import json
import shutil
from dataclasses import replace

from click.testing import CliRunner

from xtreme_dag.engine.dropping import Dropping, standing_in
from xtreme_dag.engine.graph import Graph, Kind, Output, Stage
from xtreme_dag.engine.local import run_local
from xtreme_dag.engine.plan import CACHED, STALE, Planner
from xtreme_dag.engine.store import DROPPED, Store
from xtreme_dag.program.commands.gc import command as gc
from xtreme_dag.program.commands.status import command as status
from xtreme_dag.program.commands.verify import command as verify

MODEL, EVALUATE = Kind(name="target", drops=("text*",)), Kind(name="evaluate")


def study(toy, *languages, **options) -> Graph:
    """The toy's graph with a model whose text is dropped, and its evaluations."""
    graph = Graph()
    for stage in toy.graph(**options):
        graph.add(replace(stage, of=MODEL) if stage.kind == "target" else stage)
    for language in languages:
        graph.add(
            Stage(
                of=EVALUATE,
                name=f"evaluate[{language}]",
                function="toy.functions:join",
                params={"log": str(toy.log), "name": language},
                inputs={"model": Output(stage="target[all]")},
            )
        )
    return graph


def run(toy, pool, graph, *, keep="scores", name="toy"):
    executor = toy.executor(pool)
    executor.study = name
    dropping = Dropping(toy.home, name, graph) if keep == "scores" else None
    said = []
    outcomes = run_local(graph, executor, dropping=dropping, listen=lambda event: said.append(event.get("message", "")))
    return outcomes, said


def model(toy, graph):
    return toy.planner().plan(graph).by_name["target[all]"]


def folder(toy, graph):
    return Store(toy.home.store).artifact(Store(toy.home.store).read(model(toy, graph).key).digest)


def called(command, toy):
    done = CliRunner().invoke(command, ["--home", str(toy.home.root), "--json"])
    return done.exit_code, json.loads(done.stdout)


def test_weights_go_when_all_that_reads_them_is_done_and_nothing_runs_again(toy, pool):
    graph = study(toy, "de", "fr")
    run(toy, pool, graph)
    assert [path.name for path in folder(toy, graph).iterdir()] == [DROPPED]
    ran = toy.executed()
    plan = toy.planner().plan(graph)
    assert plan.all_cached and plan.by_name["target[all]"].reasons[0].startswith("dropped when all that reads it")
    outcomes, _ = run(toy, pool, graph)
    assert set(outcomes.values()) == {CACHED} and toy.executed() == ran
    assert set(standing_in(toy.executor(pool), graph)) == {stage.name for stage in graph}


def test_commands_take_dropped_weights_for_what_they_are(toy, pool):
    graph = study(toy, "de")
    run(toy, pool, graph)
    code, found = called(verify, toy)
    assert (code, found["damaged"], found["dropped"]) == (0, [], 1)
    code, found = called(gc, toy)
    assert code == 0 and found["records"] == found["artifacts"] == 0
    code, found = called(status, toy)
    assert [entry["stage"] for entry in found if entry["dropped"]] == ["target[all]"]
    assert {entry["outcome"] for entry in found} == {"succeeded"}
    text = CliRunner().invoke(status, ["--home", str(toy.home.root)]).stdout
    assert "(the weights of 1 dropped)" in text
    assert toy.planner().plan(graph).all_cached


def test_a_later_evaluation_makes_them_again_under_the_same_key(toy, pool):
    run(toy, pool, study(toy, "de"))
    more = study(toy, "de", "fr")
    before = model(toy, study(toy, "de"))
    planned = model(toy, more)
    assert (planned.status, planned.key) == (STALE, before.key)
    assert planned.reasons == ("dropped, and evaluate[fr] needs it: it runs again under the same key",)
    assert "target[all]" not in standing_in(toy.executor(pool), more)
    outcomes, said = run(toy, pool, more)
    assert outcomes["evaluate[de]"] == CACHED and outcomes["evaluate[fr]"] == "succeeded"
    assert toy.executed().count("all") == 2
    assert any("needed again" in line for line in said)
    plan = toy.planner().plan(more)
    assert plan.all_cached and plan.by_name["target[all]"].key == before.key
    assert [path.name for path in folder(toy, more).iterdir()] == [DROPPED]


def test_two_that_need_them_at_once_have_them_made_once(toy, pool):
    run(toy, pool, study(toy, "de"))
    outcomes, _ = run(toy, pool, study(toy, "de", "fr", "es", "it"))
    assert "failed" not in outcomes.values()
    assert toy.executed().count("all") == 2


def test_an_input_that_comes_out_equal_costs_no_training(toy, pool):
    graph = study(toy, "de")
    run(toy, pool, graph)
    toy.edit("text.upper()", "text.upper().lower().upper()")  # `prepare` runs again and writes the same bytes
    assert model(toy, graph).status == "waiting"
    run(toy, pool, graph)
    assert toy.executed().count("all") == 1


def test_nothing_goes_while_an_evaluation_failed_or_is_not_of_this_run(toy, pool):
    graph = study(toy, "de")
    broken = replace(graph["evaluate[de]"], name="evaluate[fr]", function="toy.functions:crash")
    graph.add(broken)
    run(toy, pool, graph)
    assert (folder(toy, graph) / "text.txt").is_file()
    part = graph.part({"target[all]"})  # a phase: the evaluations are of another run
    other = toy.executor(pool)
    run_local(part, other, dropping=Dropping(toy.home, "toy", graph))
    assert Dropping(toy.home, "toy", graph).all(other.known) == 0
    assert (folder(toy, graph) / "text.txt").is_file()
    assert Dropping(toy.home, "toy", part).all(other.known) == 0  # nobody reads it: what it is for is not known


def test_another_study_keeps_what_it_uses(toy, pool):
    graph = study(toy, "de")
    run(toy, pool, graph, keep="all", name="other")
    run(toy, pool, graph)
    assert (folder(toy, graph) / "text.txt").is_file()
    run(toy, pool, graph, name="other")  # now it lets go too
    assert not (folder(toy, graph) / "text.txt").exists()


def test_what_the_ledger_cannot_say_is_kept(toy, pool):
    graph = study(toy, "de")
    run(toy, pool, graph, keep="all")
    known = {planned.stage.name: planned.key for planned in toy.planner().plan(graph).stages}
    whole = toy.home.ledger.read_bytes()
    for content in (whole + b'{"study": "other", "sta\n', b""):
        toy.home.ledger.write_bytes(content)
        assert Dropping(toy.home, "toy", graph).all(known) == 0
    toy.home.ledger.write_bytes(whole)
    assert Dropping(toy.home, "toy", graph).all(known) > 0


def test_nothing_goes_while_somebody_reads_it(toy, pool):
    graph = study(toy, "de")
    run(toy, pool, graph, keep="all")
    known = {planned.stage.name: planned.key for planned in toy.planner().plan(graph).stages}
    store = Store(toy.home.store)
    with store.reading(folder(toy, graph).name):
        assert Dropping(toy.home, "toy", graph).all(known) == 0
    assert Dropping(toy.home, "toy", graph).all(known) > 0


def test_a_damaged_rest_is_damage(toy, pool):
    graph = study(toy, "de")
    run(toy, pool, graph)
    rest = folder(toy, graph)
    (rest / "stray.txt").write_text("?")
    code, found = called(verify, toy)
    assert code == 1 and found["damaged"][0]["files"] == "stray.txt"
    assert model(toy, graph).status == STALE
    run(toy, pool, graph)
    assert toy.planner().plan(graph).all_cached


def test_without_its_mark_a_missing_file_is_damage(toy, pool):
    graph = study(toy, "de")
    run(toy, pool, graph)
    (folder(toy, graph) / DROPPED).unlink()
    assert model(toy, graph).reasons == ("damaged",)


def test_a_mirror_gives_dropped_weights_back(toy, pool):
    from xtreme_dag.engine.mirror import Mirror

    graph, url = study(toy, "de"), str(toy.folder / "mirror")
    executor = toy.executor(pool, mirror=Mirror(url))
    run_local(graph, executor, dropping=Dropping(toy.home, "toy", graph))
    assert not (folder(toy, graph) / "text.txt").exists()
    run_local(study(toy, "de", "fr"), toy.executor(pool, mirror=Mirror(url)))
    assert toy.executed().count("all") == 1 and (folder(toy, graph) / "text.txt").is_file()
    shutil.rmtree(url)


def test_a_forced_training_puts_them_back(toy, pool):
    graph = study(toy, "de")
    run(toy, pool, graph)
    run_local(graph, toy.executor(pool, forced=frozenset({"target[all]"})))
    assert (folder(toy, graph) / "text.txt").is_file() and not (folder(toy, graph) / DROPPED).exists()
    assert isinstance(toy.planner(), Planner) and called(verify, toy)[1]["damaged"] == []
