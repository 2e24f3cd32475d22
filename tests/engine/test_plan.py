"""The plan: it writes nothing, and says for each stage what changed."""

from dataclasses import replace

from xtreme_dag.engine.digests import list_files
from xtreme_dag.engine.graph import Graph
from xtreme_dag.engine.ledger import Ledger
from xtreme_dag.engine.local import run_local


def stale(plan):
    return {planned.stage.name: planned.reasons for planned in plan.stages if planned.status == "stale"}


def statuses(plan, status):
    return {planned.stage.name for planned in plan.stages if planned.status == status}


def test_new_then_cached_and_nothing_written(toy, pool):
    before = set(list_files(toy.folder))
    plan = toy.planner().plan(toy.graph())
    assert plan.summary() == {"new": 7}
    assert set(list_files(toy.folder)) == before
    run_local(toy.graph(), toy.executor(pool))
    after = {name: path.stat().st_mtime_ns for name, path in list_files(toy.folder).items()}
    assert toy.planner().plan(toy.graph()).all_cached
    assert {name: path.stat().st_mtime_ns for name, path in list_files(toy.folder).items()} == after


def test_a_parameter(toy, pool):
    run_local(toy.graph(), toy.executor(pool))
    plan = toy.planner().plan(toy.graph(loud=True))
    assert stale(plan) == {f"prepare[{name}]": ("parameter loud False -> True",) for name in "abc"}
    assert statuses(plan, "waiting") == {"encode[a]", "encode[b]", "encode[c]", "target[all]"}
    assert plan.by_name["encode[a]"].reasons == ("input prepare[a] stale",)


def test_code_names_what_changed(toy, pool):
    run_local(toy.graph(), toy.executor(pool))
    toy.edit('ENDING = "."', 'ENDING = "!"')
    plan = toy.planner().plan(toy.graph())
    assert stale(plan) == dict.fromkeys(
        ("encode[a]", "encode[b]", "encode[c]", "target[all]"), ("code toy.helpers.ENDING changed",)
    )


def test_moved_and_renamed_code_is_cached_and_a_changed_one_is_named_with_both_names(toy, pool):
    run_local(toy.graph(loud=True), toy.executor(pool))
    toy.edit("helpers.shout", "voices.call_out", "functions.py")
    toy.edit("from toy import helpers", "from toy import helpers, voices", "functions.py")
    (toy.package / "voices.py").write_text("def call_out(text):\n    return text.upper()\n")
    toy.edit("ENDING", "LAST")
    toy.edit("ENDING", "LAST", "functions.py")
    assert toy.planner().plan(toy.graph(loud=True)).all_cached
    (toy.package / "voices.py").write_text("def call_out(text):\n    return text.title()\n")
    toy.edit('LAST = "."', 'LAST = "!"')
    found = stale(toy.planner().plan(toy.graph(loud=True)))
    assert found["prepare[a]"] == ("code toy.helpers.shout -> toy.voices.call_out changed",)
    assert found["target[all]"] == ("code toy.helpers.ENDING -> toy.helpers.LAST changed",)


def test_a_renamed_stage_function_is_cached_and_runs_under_its_new_name(toy, pool):
    run_local(toy.graph(), toy.executor(pool))
    toy.edit("def join", "def put_together", "functions.py")
    renamed = Graph()
    for stage in toy.graph():
        function = stage.function.replace(":join", ":put_together")
        renamed.add(replace(stage, function=function))
    assert toy.planner().plan(renamed).all_cached
    toy.edit('"+".join', '"-".join', "functions.py")
    reason = "code toy.functions.join -> toy.functions.put_together changed"
    assert stale(toy.planner().plan(renamed))["target[all]"] == (reason,)


def test_reasons_where_the_earlier_code_is_not_kept(toy, pool):
    run_local(toy.graph(), toy.executor(pool))
    for path in (toy.home.store / "code").iterdir():
        path.unlink()
    toy.edit("text.strip()", "text.rstrip()")
    assert stale(toy.planner().plan(toy.graph()))["target[all]"] == ("code changed, what it was is not kept",)


def test_comments_docstrings_formatting_and_unused_code_do_not_count(toy, pool):
    run_local(toy.graph(loud=True), toy.executor(pool))
    toy.edit(
        '"""Upper case."""\n    return text.upper()  # loud',
        '"""Capitals, all of it."""\n    return (\n        text.upper()\n    )',
    )
    toy.edit("return 1", "return 2")
    assert toy.planner().plan(toy.graph(loud=True)).all_cached


def test_content_of_an_input(toy, pool):
    run_local(toy.graph(), toy.executor(pool))
    toy.raw["c"].write_text("other")
    plan = toy.planner().plan(toy.graph())
    assert stale(plan) == {"prepare[c]": ("input c.txt content changed",)}
    assert statuses(plan, "waiting") == {"encode[c]", "target[all]"}


def test_a_renamed_stage_is_found_by_its_key(toy, pool):
    run_local(toy.graph(), toy.executor(pool))
    graph = toy.graph()
    renamed = Graph()
    for stage in graph:
        renamed.add(replace(stage, name="target[everything]") if stage.name == "target[all]" else stage)
    assert toy.planner().plan(renamed).all_cached


def test_expected_time_comes_from_earlier_runs(toy, pool):
    run_local(toy.graph(), toy.executor(pool))
    toy.raw["c"].write_text("other")
    plan = toy.planner().plan(toy.graph())
    assert plan.by_name["encode[c]"].expected_seconds is not None


def test_a_torn_ledger_line_is_passed_over(toy, pool):
    run_local(toy.graph(), toy.executor(pool))
    with toy.home.ledger.open("a") as file:
        file.write('{"stage": "encode[a]", "outc')
    assert toy.planner().plan(toy.graph()).all_cached
    assert len(list(Ledger(toy.home.ledger).entries())) == 7
