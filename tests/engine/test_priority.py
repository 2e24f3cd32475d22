"""Which stage goes first: the one with the longest chain of work behind it."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtreme_dag.engine.graph import Graph, Stage
from xtreme_dag.engine.ledger import CACHED, DONE, FAILED, Ledger
from xtreme_dag.engine.pool import Turns
from xtreme_dag.engine.priority import Agenda, urgency
from xtreme_dag.wiring.kinds import KINDS

CHAINS = {"short": 1, "long": 3}


def stage(kind: str, name: str, *after: str) -> Stage:
    return Stage(of=KINDS[kind], name=name, function="a:b", after=after)


@pytest.fixture
def chains() -> Graph:
    """Two chains of trainings, the shorter one first in the graph, each model with two evaluations."""
    graph = Graph()
    for name, length in CHAINS.items():
        before: tuple[str, ...] = ()
        for step in range(length):
            model = graph.add(stage("target", f"{name} {step}", *before)).name
            for language in ("de", "fr"):
                graph.add(stage("evaluate", f"{name} {step} {language}", model))
            before = (model,)
    return graph


@st.composite
def graphs(draw) -> Graph:
    graph = Graph()
    for number in range(draw(st.integers(1, 12))):
        parents = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        graph.add(stage(draw(st.sampled_from(sorted(KINDS))), str(number), *map(str, sorted(parents))))
    return graph


def taken_in_order(graph: Graph, taken: dict[str, float], settled: tuple[str, ...] = ()) -> list[str]:
    agenda = Agenda(graph, urgency(graph, taken), settled)
    order = []
    while agenda:
        order.append(agenda.take())
        agenda.settle(order[-1])
    return order


def test_the_longest_chain_goes_first_and_evaluations_fill_the_gaps(chains):
    order = taken_in_order(chains, {})
    assert order[:4] == ["long 0", "long 1", "short 0", "long 2"]
    assert [name for name in order if name.count(" ") == 2] == order[4:]


def test_what_earlier_runs_took_counts(chains):
    taken = {"short 0": 900.0, "long 0": 9.0, "long 1": 9.0, "long 2": 9.0}
    assert taken_in_order(chains, taken)[:2] == ["short 0", "long 0"]


def test_evaluations_of_one_model_stay_together_whatever_each_took(chains):
    taken = {"short 0 de": 9.0, "long 0 fr": 8.0, "long 2 de": 1.0}
    order = [name for name in taken_in_order(chains, taken) if name.count(" ") == 2]
    assert order == [row.name for row in chains if row.kind == "evaluate"]


@given(graphs(), st.data())
def test_every_stage_starts_once_and_after_all_that_it_needs(graph, data):
    names = [row.name for row in graph]
    taken = data.draw(st.dictionaries(st.sampled_from(names), st.floats(0, 1e6)))
    settled = tuple(name for name in names[: data.draw(st.integers(0, len(names)))])
    order = taken_in_order(graph, taken, settled)
    assert sorted(order) == sorted(set(names) - set(settled))
    place = {name: number for number, name in enumerate(order)}
    for name in order:
        assert all(place[parent] < place[name] for parent in graph[name].parents if parent not in settled)


@given(graphs())
def test_urgency_is_the_longest_chain(graph):
    found = urgency(graph, {})

    def longest(name: str) -> float:
        children = [row.name for row in graph if name in row.parents]
        return graph[name].of.seconds + max(map(longest, children), default=0.0)

    assert found == {row.name: pytest.approx(longest(row.name)) for row in graph}


def test_a_child_that_is_not_settled_waits(chains):
    agenda = Agenda(chains, urgency(chains, {}))
    assert {agenda.take(), agenda.take()} == {"short 0", "long 0"} and not agenda
    agenda.settle("short 0")
    assert {agenda.take(), agenda.take()} == {"short 0 de", "short 0 fr"} and not agenda


def test_places_go_to_the_most_urgent_then_to_who_came_first():
    turns, order = Turns(1), []
    came: list[threading.Thread] = []

    def want(urgency: float, name: str) -> None:
        with turns.taken(urgency):
            order.append(name)

    with turns.taken(0.0):
        for number, (urgency_, name) in enumerate([(1.0, "a"), (5.0, "b"), (1.0, "c"), (9.0, "d"), (5.0, "e")], 1):
            came.append(threading.Thread(target=want, args=(urgency_, name)))
            came[-1].start()
            with turns._changed:
                assert turns._changed.wait_for(lambda n=number: len(turns._waiting) == n, timeout=60)
    for thread in came:
        thread.join()
    assert order == ["d", "b", "e", "a", "c"]


def test_no_more_than_the_places_are_taken_and_an_error_gives_its_place_back():
    turns = Turns(2)
    with turns.taken(0.0):
        for _ in range(3):
            with pytest.raises(ValueError, match="mine"), turns.taken(0.0):
                raise ValueError("mine")
        with turns.taken(0.0):
            assert turns._free == 0
    assert turns._free == 2


def test_the_ledger_remembers_what_a_stage_took(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    entry = {"study": "s", "stage": "a", "key": "k"}
    ledger.append([{**entry, "outcome": DONE, "seconds": 7.5}, {**entry, "outcome": CACHED}])
    ledger.append([{**entry, "outcome": FAILED, "key": "l", "error": "no"}, {**entry, "stage": "b", "outcome": CACHED}])
    last = ledger.last("s")
    assert last["a"].seconds == 7.5 and last["a"].failed_key == "l" and last["b"].seconds is None
