"""Great Expectations' own Data Docs, for those who want them. Its pages load styles and fonts from other hosts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from xtreme_dag.contracts.counts import Count
from xtreme_dag.contracts.engine import frame, in_memory, quiet, suite


def build_data_docs(folder: Path, checked: Iterable[tuple[str, Sequence[Count]]]) -> Path:
    """Judges tables once more under Great Expectations and lets it write its site.

    Args:
        folder: where the site goes.
        checked: (name, counts) of each table; what could not be counted is left out.

    Returns:
        The index page.
    """
    import great_expectations as gx

    context = in_memory()
    site: Any = {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.absolute())},
    }
    for name in list(context.list_data_docs_sites()):
        context.delete_data_docs_site(name)
    context.add_data_docs_site(site_name="contracts", site_config=site)
    source = context.data_sources.add_pandas("tables")
    with quiet():
        for name, every in checked:
            counts = [count for count in every if not count.error]
            batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
            definition = context.validation_definitions.add(
                gx.ValidationDefinition(name=name, data=batch, suite=context.suites.add(suite(name, counts)))
            )
            checkpoint = gx.Checkpoint(name=name, validation_definitions=[definition])
            context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": frame(counts)})
        context.build_data_docs(site_names=["contracts"])
    return folder / "index.html"
