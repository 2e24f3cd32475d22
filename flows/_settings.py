"""How a study is run: the parameters of every flow, and their form in Prefect's UI."""

from __future__ import annotations

import inspect
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from xtreme_dag.core.urls import PLAIN_URL
from xtreme_dag.study.file import Study

# A key of the study's file, or one within: what its value may be, the run says.
_Override = Annotated[str, Field(pattern=rf"^({'|'.join(Study.model_fields)})(\.[^=\s]+)?=")]
_Device = Literal["auto", "cpu", "cuda", "cuda:0", "cuda:1", "cuda:2", "cuda:3", "cuda:4", "cuda:5", "cuda:6", "cuda:7"]
# Parameters are kept in the server's database and shown to everybody: keys and passwords belong in the environment.
_Mirror = Annotated[str, Field(pattern=PLAIN_URL)]

_Address = Annotated[str, Field(pattern=r"^(?:[a-z]+://)?[^/@\s]+$")]


class Settings(BaseModel):
    """How a study is run; but for `overrides`, nothing here changes a result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    overrides: list[_Override] = Field(
        default_factory=list,
        description="Study keys to override, each KEY=VALUE; a deployment whose results they change has them under a "
        "study name of its own",
    )
    force: list[str] = Field(default_factory=list, description="Stages to run although they are cached")
    device: _Device = Field(default="auto", description="What to compute on")
    workers: int = Field(default=0, ge=0, description="Stages side by side; 0 for one per core")
    engine: Literal["threads", "dask", "ray"] = Field(
        default="threads", description="What runs the stages: this machine, or the machines of a Dask or Ray cluster"
    )
    address: _Address | None = Field(
        default=None,
        description="Where that cluster is: tcp://host:8786, host:6379; default: one of this machine's own",
    )
    threads: int = Field(default=1, ge=1, description="Threads of each stage")
    timeout: float | None = Field(default=None, gt=0, description="Seconds that one stage may take")
    checkpoint: float = Field(default=300.0, gt=0, description="Seconds between two checkpoints of a training")
    cuda: Literal["graphs", "compile", "eager"] = Field(default="graphs", description="Layers on CUDA in training")
    mirror: _Mirror | None = Field(default=None, description="URL of a mirror of the store; default XTREME_DAG_MIRROR")
    home: str | None = Field(default=None, description="Folder of all state; default XTREME_DAG_HOME, else .xtreme-dag")


def signature() -> inspect.Signature:
    """The parameters of a flow: the study's file, then the fields of `Settings`.

    They are flat: a server merges what somebody fills in with the deployment's own parameters at the top alone. Of a
    nested group, one field given would drop all others, the home among them.
    """
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    fields: list[tuple[str, Any, Any]] = [("study_file", "studies/demo.yaml", str)]
    for name, field in Settings.model_fields.items():
        kept = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        fields.append((name, field.get_default(call_default_factory=True), kept))
    return inspect.Signature(
        [inspect.Parameter(name, kind, default=default, annotation=of) for name, default, of in fields]
    )


def documented(title: str) -> str:
    """A flow's docstring, from which Prefect takes the texts of its form."""
    rows = [f"    {name}: {field.description}" for name, field in Settings.model_fields.items()]
    return "\n".join([title, "", "Args:", "    study_file: The study's YAML file", *rows])
