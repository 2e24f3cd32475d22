"""Ask the hub for the current commit of each dataset, for a study to pin."""

from __future__ import annotations

import os
from collections.abc import Iterable

from xtreme_dag.catalogue.catalogue import Dataset
from xtreme_dag.core.errors import UserError


def repository_of(dataset: Dataset) -> str | None:
    """The hub's repository of a dataset (`owner/name`); None where no split of it is on the hub."""
    return next((split.hub.id for split in dataset.splits.values() if split.hub is not None), None)


def current_revisions(datasets: Iterable[Dataset]) -> tuple[dict[str, str], dict[str, str]]:
    """Asks the hub for the newest commit of each dataset's repository.

    Token and address of the hub are those of the environment (`HF_TOKEN`, `HF_ENDPOINT`), as when files are fetched.

    Args:
        datasets: of the catalogue; those that are not on the hub are passed over.

    Returns:
        Dataset -> commit (40 hexadecimal digits); dataset -> why the hub did not tell.

    Raises:
        UserError: the hub cannot be reached, or this is offline.
    """
    from huggingface_hub import HfApi, errors

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ.get("HF_TOKEN") or False)
    known: dict[str, str] = {}
    found: dict[str, str] = {}
    refused: dict[str, str] = {}
    for dataset in datasets:
        name = repository_of(dataset)
        if name is None:
            continue
        try:
            if name not in known:
                known[name] = str(api.dataset_info(name).sha)
            found[dataset.name] = known[name]
        except errors.GatedRepoError:
            refused[dataset.name] = f"{name}: access is granted on its page; ask there, then set HF_TOKEN"
        except errors.RepositoryNotFoundError:
            refused[dataset.name] = f"{name}: no such dataset, or it is private; for a private one set HF_TOKEN"
        except errors.OfflineModeIsEnabled:
            raise UserError("this is offline", where="hub", fix="unset HF_HUB_OFFLINE") from None
        except errors.HfHubHTTPError as error:
            refused[dataset.name] = f"{name}: {str(error).strip().splitlines()[0]}"
        except Exception as error:  # of the client's transport, whose package changes its name between versions
            raise UserError(
                f"the hub cannot be reached: {error}", where=f"hub {name}", fix="is there a network?"
            ) from None
    return found, refused
