"""What a model was trained on in each language, from the stage graph: whether a language is zero-shot for a task."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from xtreme_dag.catalogue.catalogue import Catalogue, Task, load_catalogue
from xtreme_dag.engine.graph import Graph, Output, Stage
from xtreme_dag.heads import head_of
from xtreme_dag.study.file import Study
from xtreme_dag.wiring.adding import Input
from xtreme_dag.wiring.kinds import EVALUATE, PRETRAIN, TARGET, TRIAL
from xtreme_dag.wiring.lineage import training_behind
from xtreme_dag.wiring.targets import RELEASED

SOURCE, SAME, OTHER, TEXT, NONE = "source", "same task", "other task", "text", "none"
ORDER = (SOURCE, SAME, OTHER, TEXT, NONE)
"""From the most supervision to none; a language has the first that applies."""

# Datasets with the same labelled items, beside the releases of translations in `RELEASED`.
SAME_ITEMS = ({"squad_v1", "squad_v2"}, {"ud", "udpos"}, {"copa", "balanced_copa"})
_GROUPS = (*SAME_ITEMS, *({name, *translations} for name, translations in RELEASED.items()))


def supervision(graph: Graph) -> dict[str, str]:
    """The supervision that each `evaluate` stage's model had in the stage's language, for the stage's task.

    `source`: the task was trained in it. `same task`: intermediate training, or target training in a language besides
    its source, had labelled examples of the task's datasets, or of a translation of them, in it. `other task`: labelled examples of other datasets. `text`: text
    without labels (MLM, TLM, ...). `none`: nothing. What the encoder was pretrained on does not count, nor does the dev
    data by which a checkpoint was chosen. Shuffled labels count as labels.

    Returns:
        Name of the stage -> one of `ORDER`.
    """
    catalogue = load_catalogue()
    known: dict[tuple[str, str], dict[str, str]] = {}
    found = {}
    for stage in graph:
        if stage.of is EVALUATE:
            model = stage.inputs["model"]
            key = str(stage.labels["task"]), model.stage if isinstance(model, Output) else ""
            if key not in known:
                known[key] = _by_language(graph, model, catalogue.task(key[0]), catalogue)
            found[stage.name] = known[key].get(stage.labels["language"], NONE)
    return found


def by_condition(graph: Graph) -> dict[str, dict[str, dict[str, str]]]:
    """Condition -> task -> language of its test -> supervision."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    catalogue = load_catalogue()
    for name, word in supervision(graph).items():
        labels = graph[name].labels
        if labels["split"] == catalogue.task(labels["task"]).test.split:
            found.setdefault(labels["condition"], {}).setdefault(labels["task"], {})[labels["language"]] = word
    return found


def _by_language(graph: Graph, model: Input, task: Task, catalogue: Catalogue) -> dict[str, str]:
    """Language -> supervision, for the languages that the training behind a model had anything in."""
    found: dict[str, str] = {}
    stages = [
        (stage, stage.of in (TARGET, TRIAL) and stage.labels["task"] == task.name)
        for stage in training_behind(graph, model)
        if stage.of is not PRETRAIN
    ]
    # A study may train a task on other data than the catalogue says: other labelled examples of them are the task's too.
    trained = {encoded.labels["dataset"] for stage, own in stages if own for _, encoded, _ in _tables(graph, stage)}
    family = _family(task, catalogue, trained)
    for stage, own in stages:
        for name, encoded, items_of in _tables(graph, stage):
            datasets = {*_datasets(catalogue, encoded.labels["dataset"], encoded.labels["split"]), items_of}
            if head_of(encoded.params["head"]).from_text:
                word = TEXT
            elif own and name == "train":
                word = SOURCE
            else:
                word = SAME if own or datasets & family else OTHER
            for language in str(encoded.labels["language"]).split("+"):
                found[language] = min(word, found.get(language, NONE), key=ORDER.index)
    return found


def _tables(graph: Graph, stage: Stage) -> Iterator[tuple[str, Stage, str]]:
    """The inputs and tables that a stage trains on, and the dataset whose items each has where it is another's."""
    parts = [part for task in stage.params.get("mixture", ()) for part in task["parts"]]
    origins = {f"train/{part['dataset']}/{part['language']}": str(part.get("items_of", "")) for part in parts}
    for name, source in stage.inputs.items():
        if name.split("/")[0] == "train" and isinstance(source, Output):
            yield name, graph[source.stage], origins.get(name, "").split("/")[0]


def _family(task: Task, catalogue: Catalogue, trained: Collection[str]) -> set[str]:
    """The datasets whose labelled examples are the task's: those that it is trained and tested on, and translations."""
    refs = [task.test, *task.before, *([task.train] if task.train else [])]
    family = {*trained, *(name for ref in refs for name in _datasets(catalogue, ref.dataset, ref.split))}
    for _ in _GROUPS:  # a group may lead to another
        family.update(*(group for group in _GROUPS if group & family))
    return family


def _datasets(catalogue: Catalogue, name: str, split: str) -> set[str]:
    """A dataset, and those that its split is the union of."""
    declared = catalogue.dataset(name).splits.get(split)
    return {name, *(ref.dataset for ref in declared.union)} if declared else {name}


def source_languages(study: Study, words: Mapping[str, Mapping[str, Mapping[str, str]]]) -> frozenset[str]:
    """The languages of target training that count as seen in every comparison, as `results.cells` counts them.

    Those are all of a study with several, since the means of two comparisons would else be over different languages; none
    where the study tests in no other.

    Args:
        study: the study.
        words: condition -> task -> language -> supervision, as `by_condition` says it.
    """
    sources = {study.source_of(condition) for condition in study.intermediate.values()}
    tested = {code for tasks in words.values() for languages in tasks.values() for code in languages}
    return frozenset(sources) if len(sources) > 1 and tested - sources else frozenset()


def unseen_in_both(one: Mapping[str, str], other: Mapping[str, str], sources: Collection[str]) -> list[str]:
    """The languages that neither condition was trained on for a task, nor any other of a study with several sources.

    Args:
        one, other: language -> supervision for the task.
        sources: languages that count as seen whatever the conditions, see `source_languages`.
    """
    return [
        code
        for code in one.keys() & other.keys()
        if code not in sources and not {one[code], other[code]} & {SOURCE, SAME}
    ]
