"""`xtreme-dag contracts`: data contracts: list, lint, compare, document."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.contracts.diff import Change, Difference, compare
from xtreme_dag.contracts.odcs import FOLDER, SUFFIX, own_contracts, read_contract, read_document
from xtreme_dag.contracts.page import page
from xtreme_dag.contracts.usual import contract_of
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.core.yaml import read_yaml
from xtreme_dag.program.commands.sources import HELP, listening, opened, pinned_only, revision_option
from xtreme_dag.program.options import home_option, study_path
from xtreme_dag.program.output import Answer, answers, table

if TYPE_CHECKING:
    from xtreme_dag.program.survey import Table

EXAMPLE = """\b
Examples:
  xtreme-dag contracts lint
  xtreme-dag contracts diff old/xnli.odcs.yaml data_contracts/xnli.odcs.yaml --study studies/demo.yaml
  xtreme-dag contracts docs --source folder:download -o contracts.html
"""

_FILE = click.Path(exists=True, path_type=Path)


@click.group(name="contracts", epilog=EXAMPLE)
def command() -> None:
    """Data contracts (Open Data Contract Standard): list, lint, compare, document."""


@command.command(name="ls", epilog="Example: xtreme-dag contracts ls --json")
@answers
def list_command() -> Answer:
    """The contracts, their versions and rules."""
    found = [read_contract(path) for path in _all()]
    value = [
        {
            "dataset": contract.dataset,
            "version": contract.version,
            "status": contract.status,
            "rules": [{"rule": rule.name, "severity": rule.severity} for rule in contract.rules],
        }
        for contract in found
    ]
    rows = [(one.dataset, one.version, ", ".join(rule.name for rule in one.rules)) for one in found]
    return Answer(value=value, text=[table(("dataset", "version", "rules"), rows)])


def _all() -> list[Path]:
    """All contracts: those of the package, but for what the user's own catalogues replace, and those in the latter."""
    datasets = load_catalogue().datasets
    replaced = {f"{name}{SUFFIX}" for name, dataset in datasets.items() if dataset.root}
    return [*(path for path in sorted(FOLDER.glob(f"*{SUFFIX}")) if path.name not in replaced), *own_contracts()]


@command.command(epilog="Example: xtreme-dag contracts lint data_contracts/xnli.odcs.yaml")
@click.argument("files", nargs=-1, type=_FILE)
@answers
def lint(files: tuple[Path, ...]) -> Answer:
    """Check contract files (all by default) against the standard's JSON Schema and the catalogue.

    Exit code 1 if something is wrong.
    """
    from xtreme_dag.contracts.lint import lint as check

    catalogue = load_catalogue()
    paths = list(files) or _all()
    found = {path.name: check(path, catalogue) for path in paths}
    # A contract is optional for a dataset of the user's own.
    shipped = [name for name, dataset in catalogue.datasets.items() if not dataset.root]
    missing = [] if files else [name for name in shipped if f"{name}{SUFFIX}" not in found]
    ok = not missing and not any(found.values())
    text = [f"{name}: {one}" for name, wrong in found.items() for one in wrong]
    text += [f"dataset {name} has no contract" for name in missing]
    text.append(f"{len(found)} contracts, {len(text)} mistakes")
    return Answer(value={"ok": ok, "files": found, "without_contract": missing}, text=text, ok=ok)


@command.command(epilog="Example: xtreme-dag contracts diff old/xnli.odcs.yaml data_contracts/xnli.odcs.yaml")
@click.argument("old", type=_FILE, required=False)
@click.argument("new", type=_FILE, required=False)
@click.option(
    "--base", metavar="COMMIT", help="Compare all contracts with those of a git commit, instead of two files."
)
@click.option("--study", type=click.Path(path_type=Path), help="Say which stages of this study the change touches.")
@answers
def diff(old: Path | None, new: Path | None, base: str | None, study: Path | None) -> Answer:
    """What changed between two versions of a contract: breaking, additive or documentation.

    OLD and NEW are files, or folders of contracts. Exit code 1 if a version number does not go up by what its changes
    ask: major for breaking, minor for additive, patch for documentation.
    """
    if (base is None) == (old is None or new is None):
        raise UserError("two files or folders, or --base", where="contracts diff", fix="see --help")
    before, after = _of_commit(str(base)) if base is not None else _of_paths(Path(str(old)), Path(str(new)))
    found = []
    for file in sorted({*before, *after}):
        was, now, name = before.get(file), after.get(file), file.removesuffix(SUFFIX)
        difference = compare(was, now) if was and now else _whole(was, now)
        if difference.changes:
            found.append((name, difference, _touched(study, name) if study else None))
    return Answer(
        value=[_as_json(*one) for one in found],
        text=[line for one in found for line in _difference_text(*one)] or ["no changes"],
        ok=all(difference.enough for _, difference, _ in found),
    )


@command.command(epilog="Example: xtreme-dag contracts docs --source folder:download -o contracts.html")
@click.option("--source", metavar="SOURCE", help=f"Check this source first: {HELP}")
@revision_option
@click.option("--outcomes", type=_FILE, help="JSON that `data check --json` printed, instead of checking.")
@click.option("--dataset", "names", multiple=True, help="Only this dataset; may be given more than once.")
@click.option("--data-docs", type=click.Path(file_okay=False, path_type=Path), help="Great Expectations' site as well, in this folder (its pages load styles from other hosts); needs --source.")  # fmt: skip
@click.option("-o", "--output", default="contracts.html", show_default=True, type=click.Path(dir_okay=False, path_type=Path), help="Where the page goes.")  # fmt: skip
@home_option
def docs(
    source: str | None, revisions: tuple[str, ...], outcomes: Path | None, names: tuple[str, ...],
    data_docs: Path | None, output: Path, home: Home,
) -> None:  # fmt: skip
    """Write one offline HTML page of the contracts and, if asked, their outcomes."""
    from xtreme_dag.program.commands.data_text import as_json_table
    from xtreme_dag.program.survey import Survey, workers

    if data_docs is not None and source is None:
        raise UserError("--data-docs needs --source", where="contracts docs")
    catalogue = load_catalogue()
    wanted = [catalogue.dataset(name).name for name in names or catalogue.datasets]
    checked: list[Table] = []
    tables: list[dict[str, Any]] = []
    if source is not None:
        there = opened(source, revisions)
        wanted = pinned_only(catalogue, there, names)
        survey = Survey.of(catalogue, there, datasets=wanted)
        with listening() as listen, workers(home, len(survey.wanted)) as executor:
            checked = survey.run(executor, listen)
        tables = [as_json_table(table) for table in checked]
    elif outcomes is not None:
        tables = [table for table in _outcomes(outcomes) if table["dataset"] in wanted]
    contracts = [contract_of(catalogue.dataset(name)) for name in wanted]
    title = f"Contracts over {source}" if source else "Data contracts"
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page(contracts, tables, title), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"cannot be written: {error.strerror}", where=str(output), fix="-o says where it goes"
        ) from None
    click.echo(str(output))
    if data_docs is not None:
        from xtreme_dag.contracts.check import counted
        from xtreme_dag.contracts.datadocs import build_data_docs

        by_dataset = {contract.dataset: contract for contract, _ in contracts}
        counts = (
            (f"{one.dataset}_{one.split}_{one.language}", counted(one.folder, by_dataset[one.dataset], vars(one)))
            for one in checked
            if one.folder is not None
        )
        click.echo(str(build_data_docs(data_docs, counts)))


def _outcomes(path: Path) -> list[dict[str, Any]]:
    """The tables in a file that `data check --json` printed."""
    try:
        tables: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["tables"]
    except (ValueError, KeyError, TypeError):
        raise UserError("not what `data check --json` prints", where=str(path)) from None
    return tables


Documents = dict[str, Any]  # file name -> document


def _of_paths(old: Path, new: Path) -> tuple[Documents, Documents]:
    """The contracts of two files or folders; of a file and a folder, the file and its namesake there."""
    if old.is_file() and new.is_file():
        return {new.name: read_document(old)}, {new.name: read_document(new)}
    return _contracts_of(old, new), _contracts_of(new, old)


def _contracts_of(path: Path, other: Path) -> Documents:
    """The contracts in a folder, or the one that a file on the other side is to be compared with."""
    if path.is_file():
        return {path.name: read_document(path)}
    found = [one for one in path.glob(f"*{SUFFIX}") if other.is_dir() or one.name == other.name]
    if not found:
        what = f"no contract {other.name}" if other.is_file() else f"no contracts (*{SUFFIX})"
        raise UserError(f"{what} in it", where=str(path), fix="name a contract, or the folder that holds contracts")
    return {one.name: read_document(one) for one in found}


def _of_commit(commit: str) -> tuple[Documents, Documents]:
    """The contracts of a git commit and those that are here."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(FOLDER), *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise UserError(done.stderr.strip().splitlines()[-1], where=f"git {arguments[0]}", fix="is it a commit?")
        return done.stdout

    names = [name for name in git("ls-tree", "--name-only", commit, "./").split() if name.endswith(SUFFIX)]
    before = {name: read_yaml(git("show", f"{commit}:./{name}")) for name in names}
    return before, {path.name: read_document(path) for path in FOLDER.glob(f"*{SUFFIX}")}


def _whole(before: Any, after: Any) -> Difference:
    """The difference of a contract that appeared (it may have any version) or went."""
    kind = "breaking" if after is None else "additive"
    change = Change(kind=kind, what="contract removed" if after is None else "contract added")
    versions = [str((document or {}).get("version", "")) for document in (before, after)]
    asked, given = ("major", "") if after is None else ("", "")
    return Difference(changes=(change,), kind=kind, old=versions[0], new=versions[1], asked=asked, given=given)


def _touched(study: Path, dataset: str) -> dict[str, list[str]]:
    """The checks of a study that will run again, and what waits for their verdict."""
    from xtreme_dag.study.file import load_study
    from xtreme_dag.wiring.build import build

    graph = build(load_study(study_path(study))).graph
    checks = [stage.name for stage in graph if stage.kind == "check" and stage.labels.get("dataset") == dataset]
    reached = set(checks)
    waiting = []
    for stage in graph:
        if stage.name not in reached and reached.intersection(stage.parents):
            reached.add(stage.name)
            waiting.append(stage.name)
    return {"runs_again": checks, "waits": waiting}


def _as_json(name: str, difference: Difference, touched: dict[str, list[str]] | None) -> dict[str, Any]:
    told = asdict(difference)
    changes = told.pop("changes")
    entry = {"dataset": name, **told, "enough": difference.enough, "changes": changes}
    return entry if touched is None else entry | {"stages": touched}


def _difference_text(name: str, difference: Difference, touched: dict[str, list[str]] | None) -> Iterator[str]:
    yield f"{name}: {difference.kind}"
    for change in difference.changes:
        yield f"  {change.kind}: {change.what}"
    asked = f"asks for a {difference.asked} version bump" if difference.asked else "any version will do"
    verdict = "enough" if difference.enough else "NOT ENOUGH"
    yield f"  {asked}; {difference.old or '-'} -> {difference.new or '-'}: {verdict}"
    if touched is not None:
        yield f"  runs again: {', '.join(touched['runs_again']) or 'nothing'}"
        yield f"  then only if a verdict changes: {len(touched['waits'])} stages"
        yield from (f"    {stage}" for stage in touched["waits"])
