"""Catalogues of a user's own: folders with `catalogue/*.yaml`, `contracts/*.odcs.yaml`, `languages.csv`, `readers.py`.

They are, in this order: those that the environment names (`--catalogue` puts one there, so that child processes have it
too), those found beside a study, in the home and in the working directory, and those of installed packages that declare
an entry point of the group `xtreme_dag.catalogue` (its value is the package whose folder it is).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from xtreme_dag.core.errors import UserError

VARIABLE = "XTREME_DAG_CATALOGUE"
GROUP = "xtreme_dag.catalogue"
ENTRIES, CONTRACTS, LANGUAGES, READERS = "catalogue", "contracts", "languages.csv", "readers.py"

_found: dict[str, tuple[Path, ...]] = {}

Stamp = tuple[tuple[str, int, int], ...]
"""Path, time of the last change and size of every file: what a cache of what they say goes by."""


def name(folder: Path) -> None:
    """Puts a folder first, for this process and those that it starts.

    Raises:
        UserError: it has no `catalogue/`.
    """
    before = os.environ.get(VARIABLE, "").split(os.pathsep)
    given = str(_named(folder))
    os.environ[VARIABLE] = os.pathsep.join([given, *(each for each in before if each and each != given)])


def look(origin: str, *places: Path) -> None:
    """Takes the catalogues that there are in some places, instead of those that `origin` had before."""
    _found[origin] = tuple(place.absolute() for place in places if any((place / ENTRIES).glob("*.yaml")))


def folders() -> tuple[Path, ...]:
    """All catalogues of the user's own, each once.

    Raises:
        UserError: a folder that is named is none.
    """
    named = [_named(Path(each)) for each in os.environ.get(VARIABLE, "").split(os.pathsep) if each]
    found = [folder for places in _found.values() for folder in places]
    return tuple(dict.fromkeys(folder.resolve() for folder in (*named, *found, *_packaged())))


def entries(folder: Path) -> Iterator[Path]:
    """The files of its entries, in the order of their names."""
    yield from sorted((folder / ENTRIES).glob("*.yaml"))


def stamp() -> Stamp:
    """What all that is read of the folders goes by."""
    files = [
        path
        for folder in folders()
        for path in (*entries(folder), folder / LANGUAGES, folder / READERS)
        if path.is_file()
    ]
    return tuple((str(path), (known := path.stat()).st_mtime_ns, known.st_size) for path in files)


def _named(folder: Path) -> Path:
    folder = folder.expanduser().absolute()
    if not (folder / ENTRIES).is_dir():
        raise UserError(
            f"no folder {str(folder / ENTRIES)!r}",
            where="catalogue",
            fix="a catalogue of your own is a folder with `catalogue/NAME.yaml`; see docs/howto-bring-your-own.md",
        )
    return folder


@lru_cache(maxsize=1)
def _packaged() -> tuple[Path, ...]:
    from importlib.metadata import entry_points
    from importlib.util import find_spec

    places = []
    for point in entry_points(group=GROUP):
        spec = find_spec(point.value)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            if (Path(place) / ENTRIES).is_dir():
                places.append(Path(place))
    return tuple(places)
