"""Official averages are over the benchmark's own tasks and languages, whatever a user's catalogue says."""

from dataclasses import replace

from xtreme_dag.catalogue.benchmarks import official
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.results import known
from xtreme_dag.submissions.folder import averaged, folder_tasks


def test_the_shipped_catalogue_lists_what_the_benchmarks_do():
    catalogue = load_catalogue()
    listed = {
        name: {task: tuple(catalogue.tasks[task].languages[name]) for task in tasks}
        for name, tasks in catalogue.benchmarks.items()
    }
    assert listed == official()
    assert {name: len(tasks) for name, tasks in official().items()} == {"xtreme": 9, "xtreme-r": 10}


def test_a_task_and_a_language_that_a_user_adds_are_in_no_official_average(monkeypatch):
    shipped = load_catalogue()
    own = replace(shipped.tasks["xnli"], name="mine", languages={"xtreme": ("en", "la")})
    more = replace(shipped.tasks["xnli"], languages={"xtreme": (*shipped.tasks["xnli"].languages["xtreme"], "la")})
    wider = replace(
        shipped,
        datasets={**shipped.datasets, "mine": shipped.datasets["xnli"]},
        tasks={**shipped.tasks, "xnli": more, "mine": own},
        benchmarks={**shipped.benchmarks, "xtreme": (*shipped.benchmarks["xtreme"], "mine")},
    )
    monkeypatch.setattr(known, "load_catalogue", lambda: wider)
    monkeypatch.setattr("xtreme_dag.submissions.folder.load_catalogue", lambda: wider)
    facts = {task.name: task.benchmarks for task in known._tasks(())}
    assert facts["mine"] == {} and "la" not in facts["xnli"]["xtreme"]
    tasks = folder_tasks("xtreme")
    assert "mine" in tasks and "la" in tasks["xnli"].languages
    means = averaged("xtreme", tasks)
    assert "mine" not in means and "la" not in means["xnli"].languages
