"""All that one study landed, as one JSON document; the database is made of such documents and of the artifacts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from xtreme_dag.contracts.shared import Shared
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import read_json, write_atomically
from xtreme_dag.results.facts import ContractOutcome, Evaluation, StageFacts, StudyFacts


@dataclass(frozen=True, kw_only=True)
class Landing:
    """All that one study landed; the database is a function of these and of the artifacts.

    Attributes:
        study: the study.
        evaluations: its evaluations; artifacts inside the home are relative to it.
        contracts: outcomes of the data contracts.
        stages: the stages of the last run.
        overlaps: what tables that are trained or selected on have of those that are tested.
        history: stages of earlier runs that the last one no longer has.
        origin: the other home that it was added from; empty for a study of this home.
    """

    study: StudyFacts
    evaluations: tuple[Evaluation, ...]
    contracts: tuple[ContractOutcome, ...]
    stages: tuple[StageFacts, ...]
    overlaps: tuple[Shared, ...] = ()
    history: tuple[StageFacts, ...] = ()
    origin: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` is the inverse."""
        value: dict[str, Any] = _landings().dump_python(self, mode="json")
        return value

    @classmethod
    def from_json(cls, value: object) -> Landing:
        """The landing that `to_json` wrote.

        Raises:
            ValidationError: the value has not this form.
        """
        return _landings().validate_python(value)

    def save(self, path: Path) -> None:
        """Writes the landing as a JSON file, whole or not at all."""
        text = json.dumps(self.to_json(), indent=1, sort_keys=True, ensure_ascii=False)
        write_atomically(path, text + "\n")

    @classmethod
    def read(cls, path: Path, *, what: str, fix: str) -> Landing:
        """The landing of a file that `save` wrote.

        Raises:
            UserError: it cannot be read; `what` names the kind of file and `fix` says what to do.
        """
        try:
            return cls.from_json(read_json(path))
        except ValidationError as error:
            first = error.errors()[0]
            reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        except UserError as error:
            reason = error.what
        raise UserError(f"is not {what} ({reason})", where=str(path), fix=fix)


@cache
def _landings() -> TypeAdapter[Landing]:
    return TypeAdapter(Landing)
