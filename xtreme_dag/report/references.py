"""The references of a study as BibTeX: datasets, benchmark, model, methods.

The catalogue has references in short (first author, year, short title, venue), and an entry says so: whoever publishes
completes authors and title. What has no such form there is a comment, so that nothing is invented.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import xtreme_dag
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.core.home import Home
from xtreme_dag.results.query import reader

_SHORT = re.compile(r"([A-Z][\w'-]+)( et al\.| and [A-Z][\w'-]+)? (\d{4}), (.+)")
_VENUE = re.compile(r"[A-Z]{2,}[A-Za-z ]*|[A-Z]\w+ (?:Symposium|Workshop)")
_BENCHMARKS = {
    "xtreme": ("XTREME", "2003.11080"),
    "xtreme-r": ("XTREME-R", "2104.07412"),
}
# What the study's figures rest on. The last word says how far the entry can be trusted.
_METHODS = {
    "intermediate": (
        "phang2020english",
        {
            "author": "Phang and others",
            "title": "{English Intermediate-Task Training Improves Zero-Shot Cross-Lingual Transfer Too}",
            "year": "2020",
            "booktitle": "AACL",
            "eprint": "2005.13013",
            "archiveprefix": "arXiv",
        },
        "authors in short",
    ),
    "holm": (
        "holm1979",
        {
            "author": "Holm, Sture",
            "title": "{A simple sequentially rejective multiple test procedure}",
            "journal": "Scandinavian Journal of Statistics",
            "year": "1979",
        },
        "not checked against the source",
    ),
    "mcnemar": (
        "mcnemar1947",
        {
            "author": "McNemar, Quinn",
            "title": "{Note on the sampling error of the difference between correlated proportions or percentages}",
            "journal": "Psychometrika",
            "year": "1947",
        },
        "not checked against the source",
    ),
    "lora": (
        "hu2022lora",
        {
            "author": "Hu and others",
            "title": "{LoRA: Low-Rank Adaptation of Large Language Models}",
            "year": "2022",
            "booktitle": "ICLR",
            "eprint": "2106.09685",
            "archiveprefix": "arXiv",
        },
        "authors in short; not checked against the source",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One entry.

    Attributes:
        key: its BibTeX key.
        kind: its BibTeX type.
        fields: by name.
        used: what the study used it for.
    """

    key: str
    kind: str
    fields: Mapping[str, str]
    used: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class References:
    """What a study should cite.

    Attributes:
        entries: in order: the software, benchmark, model, datasets, methods.
        notes: what has no entry, and why.
    """

    entries: tuple[Reference, ...]
    notes: tuple[str, ...]


def references(home: Home, study: str) -> References:
    """What a study used, by what landed of it.

    Raises:
        UserError: there are no results that can be read.
    """
    with reader(home, predictions=False) as connection:
        (text,) = connection.execute("SELECT recipe FROM studies WHERE study = ?", [study]).fetchall()[0]
        datasets = [
            row[0]
            for row in connection.execute(
                "SELECT DISTINCT dataset FROM data_tables WHERE study = ? ORDER BY 1", [study]
            ).fetchall()
        ] or [
            row[0]
            for row in connection.execute(
                "SELECT DISTINCT task FROM scores WHERE study = ? ORDER BY 1", [study]
            ).fetchall()
        ]
        generated = connection.execute(
            "SELECT count(*) FROM languages WHERE study = ? AND kinship IS NOT NULL", [study]
        ).fetchall()[0][0]
        seeds, conditions = connection.execute(
            "SELECT (SELECT count(DISTINCT seed) FROM scores WHERE study = $study),"
            " (SELECT count(*) FROM conditions WHERE study = $study)",
            {"study": study},
        ).fetchall()[0]
        trained = connection.execute(
            "SELECT count(*) FROM stages WHERE study = ? AND kind = 'intermediate' AND current", [study]
        ).fetchall()[0][0]
        described = connection.execute("SELECT description FROM conditions WHERE study = ?", [study]).fetchall()
    recipe = json.loads(text)
    entries = [_software()]
    notes = []
    if generated:
        notes.append(f"generated data stands for {', '.join(datasets)}: their publishers are not to be cited for it")
    else:
        if (benchmark := str(recipe.get("benchmark") or "")) in _BENCHMARKS:
            title, eprint = _BENCHMARKS[benchmark]
            fields = {"title": f"{{{title}}}", "eprint": eprint, "archiveprefix": "arXiv", "note": "title in short"}
            entries.append(Reference(key=benchmark, kind="misc", fields=fields, used=("the benchmark",)))
        found, unknown = _of_datasets(datasets)
        entries += found
        notes += unknown
    entries += _of_model(recipe.get("model"), notes)
    methods = [
        *(["intermediate"] if trained else []),
        *(["holm"] if conditions > 1 else []),
        *(["mcnemar"] if conditions > 1 and seeds == 1 else []),
        *(["lora"] if _sets("lora", [recipe, *(json.loads(row[0]) for row in described)]) else []),
    ]
    for name in methods:
        key, fields, note = _METHODS[name]
        kind = "article" if "journal" in fields else "inproceedings"
        others = [one for one in entries if one.key != key]
        used = [use for one in entries if one.key == key for use in one.used]
        made = Reference(key=key, kind=kind, fields={**fields, "note": note}, used=(*used, f"method: {name}"))
        entries = [*others, made]
    return References(entries=tuple(entries), notes=tuple(notes))


def bibtex(found: References) -> str:
    """The entries as BibTeX, with a comment above each that says what it was used for."""
    parts = [f"% {note}" for note in found.notes]
    for one in found.entries:
        fields = ",\n".join(f"  {name} = {{{value}}}" for name, value in one.fields.items())
        parts.append(f"% {', '.join(one.used)}\n@{one.kind}{{{one.key},\n{fields}\n}}")
    return "\n\n".join(parts) + "\n"


def _sets(name: str, value: Any) -> bool:
    """Whether a setting of this name is given somewhere in settings, with a value that is not null."""
    if isinstance(value, Mapping):
        return value.get(name) is not None or any(_sets(name, one) for one in value.values())
    return isinstance(value, list) and any(_sets(name, one) for one in value)


def _software() -> Reference:
    fields = {"title": "{xtreme-dag}", "version": xtreme_dag.__version__, "note": "the software"}
    return Reference(key="xtreme-dag", kind="misc", fields=fields, used=("the software",))


def _of_model(model: Any, notes: list[str]) -> Iterator[Reference]:
    """The base model: one of the hub by name and commit; another has no reference here."""
    said = {key: value for key, value in model.items() if value} if isinstance(model, Mapping) else {}
    if "hub" in said:
        name, revision = str(said["hub"]), said.get("revision")
        fields = {
            "title": f"{{{name}}}",
            "howpublished": "model on the Hugging Face hub" + (f", commit {revision}" if revision else ""),
            "note": "cite the paper that its model card names",
        }
        yield Reference(key=re.sub(r"\W+", "-", name).lower(), kind="misc", fields=fields, used=("the base model",))
    elif "pretrain" in said:
        notes.append("the base model was made by the study itself")
    else:
        told = said.get("folder") or said.get("package") or model
        notes.append(f"the base model has no reference in the catalogue: {told}")


def _of_datasets(names: Iterable[str]) -> tuple[list[Reference], list[str]]:
    """The catalogue's references of datasets, each once; and what has none that can be read."""
    known = load_catalogue().datasets
    found: dict[str, Reference] = {}
    notes = []
    for name in names:
        entry = known.get(name)
        if entry is None or not entry.citation:
            notes.append(f"{name}: no reference in the catalogue")
            continue
        for part in entry.citation.split("; "):
            made = _entry(part, name)
            if made is None:
                notes.append(f"{name}: {part}")
                continue
            earlier = found.get(made.key)
            used = (*(earlier.used if earlier else ()), name)
            fields = made.fields if earlier or not entry.homepage else {**made.fields, "url": entry.homepage}
            found[made.key] = Reference(
                key=made.key, kind=made.kind, fields=earlier.fields if earlier else fields, used=used
            )
    return list(found.values()), notes


def _entry(text: str, name: str) -> Reference | None:
    """A short reference (`Conneau et al. 2018, XNLI, EMNLP`) as an entry; None for another text."""
    match = _SHORT.fullmatch(text)
    if match is None:
        return None
    first, more, year, rest = match.groups()
    title, _, venue = rest.rpartition(", ")
    if not title or not _VENUE.fullmatch(venue):
        title, venue = rest, ""
    if not more:
        author = first
    else:
        author = f"{first} and others" if more == " et al." else f"{first} and {more.removeprefix(' and ')}"
    fields = {"author": author, "title": f"{{{title}}}", **({"booktitle": venue} if venue else {}), "year": year}
    word = re.sub(r"\W", "", title.split()[0]).lower()
    return Reference(
        key=f"{first.lower()}{year}{word}",
        kind="inproceedings" if venue else "misc",
        fields={**fields, "note": "authors and title in short: complete them"},
        used=(name,),
    )
