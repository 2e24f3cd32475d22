"""The curves of trainings as event files for TensorBoard."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.home import Home
from xtreme_dag.results.query import reader, study_names

_SUFFIX = ".xtreme-dag"
_SQL = """
SELECT c.study, c.kind, c.condition, c.seed, c.target, c.step, s.started, c.measure, c.optimizer_step, c.value
FROM training_curves c LEFT JOIN stages s USING (study, stage_key)
WHERE list_contains(?, c.study) ORDER BY ALL"""


def write_tensorboard(home: Home, study: str | None, folder: Path) -> dict[Path, int]:
    """Writes a folder of event files for each training; those of an earlier export are replaced.

    Args:
        home: whose results.
        study: name of a study; None for all.
        folder: receives `STUDY/TRAINING/CONDITION/seed-N`.

    Returns:
        Folder of each training -> number of its points.

    Raises:
        UserError: no such study, no curves have landed, or tensorboardX is not installed.
    """
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise UserError(
            "tensorboardX is not installed", where="--tensorboard", fix="pip install 'xtreme-dag[tensorboard]'"
        ) from None
    names = study_names(home)
    if study is not None and study not in names:
        raise UserError(f"no study {study!r} has landed", where="--study", fix=nearest(study, names))
    with reader(home, predictions=False) as connection:
        rows = connection.execute(_SQL, [[study] if study is not None else names]).fetchall()
    if not rows:
        raise UserError("has no curves", where=study or f"home {home.root}", fix="run the study again: it lands them")
    written: dict[Path, int] = {}
    writer = None
    for name, kind, condition, seed, target, step, started, measure, at, value in rows:
        training = target or (kind if step == 1 else f"{kind}-{step}")
        place = folder / name / training / (condition or "all") / f"seed-{seed}"
        if place not in written:
            if writer is not None:
                writer.close()
            for old in place.glob(f"events.out.tfevents.*{_SUFFIX}"):
                old.unlink()
            writer = SummaryWriter(str(place), filename_suffix=_SUFFIX)
            written[place] = 0
        assert writer is not None
        # all points at the start of the stage: when each was reached is not recorded
        moment = started.replace(tzinfo=UTC).timestamp() if started is not None else 0.0
        writer.add_scalar(measure.replace(" ", "/"), value, at, walltime=moment)
        written[place] += 1
    if writer is not None:
        writer.close()
    return written
