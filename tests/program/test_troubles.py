"""Messages about damaged files of a home."""

from xtreme_dag.core.home import Home
from xtreme_dag.program.troubles import troubles
from xtreme_dag.results.imports import import_path
from xtreme_dag.results.stamp import landing_path


def test_each_damaged_landing_is_named_with_what_makes_it_again(tmp_path):
    home = Home(tmp_path).ensure()
    landed, imported = landing_path(home, "s"), import_path(home, "s", "theirs")
    imported.parent.mkdir(parents=True)
    for path in (landed, imported):
        path.write_text("{")
    assert troubles(home) == [
        f"{imported} is damaged: delete it and import again",
        f"{landed} is damaged: delete it and run its study again",
    ]
