"""`xtreme-dag doctor`: check whether this machine can run a study."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import click

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.devices import find_devices
from xtreme_dag.engine.keys import library_version
from xtreme_dag.program.health import server_health
from xtreme_dag.program.model_check import findings_of
from xtreme_dag.program.options import home_option
from xtreme_dag.program.output import Answer, answers
from xtreme_dag.program.server import configured_api

_LIBRARIES = (
    "prefect", "fastapi", "torch", "transformers", "tokenizers", "datasets", "pyarrow", "duckdb", "great-expectations",
)  # fmt: skip
_FREE_BYTES = 5_000_000_000


@click.command()
@click.option(
    "--model",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Check this model's folder too: files, tokenizer, and whether all weights are there.",
)
@answers
@home_option
def command(home: Home, model: Path | None) -> Answer:
    """Check Python, libraries, devices, disk, home and the Prefect API; exit 1 if a run could not work.

    \b
    Example: xtreme-dag doctor
             xtreme-dag doctor --model models/xlm-roberta-base
    """
    checks = [_check(name, probe) for name, probe in _probes(home).items()]
    if model is not None:
        found = findings_of(home, model.absolute())
        checks += [{"name": "model", "ok": not finding.fatal, "found": str(finding)} for finding in found]
        checks += [] if found else [{"name": "model", "ok": True, "found": f"{model}: nothing is wrong"}]
    return Answer(
        value=checks,
        text=[f"{'ok  ' if check['ok'] else 'LACK'} {check['name']:9} {check['found']}" for check in checks],
        ok=all(check["ok"] for check in checks),
    )


def _check(name: str, probe: Callable[[], str]) -> dict[str, object]:
    try:
        return {"name": name, "ok": True, "found": probe()}
    except UserError as error:
        return {"name": name, "ok": False, "found": " ".join(str(error).split())}


def _probes(home: Home) -> dict[str, Callable[[], str]]:
    def python() -> str:
        return f"{platform.python_version()}, {len(os.sched_getaffinity(0))} cores"

    def libraries() -> str:
        versions = {name: library_version(name) for name in _LIBRARIES}
        absent = [name for name, version in versions.items() if version == "absent"]
        if absent:
            raise UserError(f"not installed: {', '.join(absent)}", fix="make setup")
        if tuple(int(part) for part in versions["fastapi"].split(".")[:2]) >= (0, 151):
            raise UserError(
                f"fastapi {versions['fastapi']}: Prefect's server does not start with it", fix="install fastapi<0.151"
            )
        return ", ".join(f"{name} {version}" for name, version in versions.items())

    def disk() -> str:
        place = home.root
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        if free < _FREE_BYTES:
            raise UserError(f"{free / 1e9:.1f} GB free at {place}", fix="a study of base models wants 5 GB or more")
        return f"{free / 1e9:.0f} GB free at {place}"

    def prefect() -> str:
        api = configured_api()
        return server_health(api) if api else "no API configured: a run starts a local server in the home"

    return {
        "python": python,
        "libraries": libraries,
        "devices": lambda: ", ".join(find_devices("auto")),
        "home": lambda: str(home.ensure().root),
        "disk": disk,
        "prefect": prefect,
    }
