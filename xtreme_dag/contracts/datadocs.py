"""Great Expectations' own Data Docs, for those who want them. Its pages load styles and fonts from other hosts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from xtreme_dag.contracts.counts import Count
from xtreme_dag.contracts.engine import expectation, frame, quiet


def build_data_docs(folder: Path, checked: Iterable[tuple[str, Sequence[Count]]]) -> Path:
    """Judges tables once more under Great Expectations and lets it write its site.

    Args:
        folder: where the site goes.
        checked: (name, counts) of each table; what could not be counted is left out.

    Returns:
        The index page.
    """
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
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
            suite = context.suites.add(
                gx.ExpectationSuite(name=name, expectations=[expectation(count) for count in counts])
            )
            definition = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=suite))
            checkpoint = gx.Checkpoint(name=name, validation_definitions=[definition])
            context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": frame(counts)})
        context.build_data_docs(site_names=["contracts"])
    return folder / "index.html"
