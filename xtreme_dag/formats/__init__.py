"""Formats of canonical tables: one module for each, and the registry that everything else asks.

Every module of this package that has a `FORMAT` is registered when the package is first imported; `register` adds one
from elsewhere. The modules import nothing heavy while they are loaded: a plan reads them.

Code fingerprints do not see through the registry. So a stage whose function looks a format up by name has the fields
that it uses among its parameters (`Format.facts`), and code that knows its format imports that format's module.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.formats.declaration import Format

FORMATS: dict[str, Format] = {}
"""Every known format by name."""


def register(format: Format) -> None:
    """Makes a format known to this process.

    Raises:
        UserError: another format has its name.
    """
    if FORMATS.setdefault(format.name, format) != format:
        raise UserError(f"there are two formats {format.name!r}", fix="give the new one another name")


def get(name: str, *, where: str = "") -> Format:
    """The format of a name.

    Args:
        name: of the format.
        where: what asks for it, for the error.

    Raises:
        UserError: there is none.
    """
    if name not in FORMATS:
        raise UserError(f"no format {name!r}", where=where, fix=nearest(name, FORMATS))
    return FORMATS[name]


for _module in pkgutil.iter_modules(__path__):
    _format = getattr(import_module(f"{__name__}.{_module.name}"), "FORMAT", None)
    if _format is not None:
        register(_format)
