"""Folders of release files: the layouts of the catalogue, compressed or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from xtreme_dag.catalogue import own
from xtreme_dag.catalogue.catalogue import Dataset, Layout, Split
from xtreme_dag.catalogue.languages import language_advice
from xtreme_dag.catalogue.sources.base import (
    OWN_READERS,
    Located,
    Source,
    filled,
    locate_union,
    reading,
    union_languages,
)
from xtreme_dag.core.errors import UserError

COMPRESSED = (".gz", ".bz2", ".xz")
ROOTS = ("", "download")  # XTREME's script leaves everything in `download/`


class FolderSource:
    """Release files in a folder, in the layouts that the catalogue declares.

    Directories are listed once and remembered, so that a plan of a thousand stages costs a few hundred listings.

    Args:
        path: the folder; XTREME's `download/` or the folder that holds it, or any folder with release files.

    Raises:
        UserError: the folder does not exist.
    """

    kind = "folder"

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        if not self.path.is_dir():
            raise UserError(f"no folder {str(path)!r}", where="source folder")
        self._listings: dict[str, dict[str, str]] = {}
        self._located: dict[tuple[str, str, str], Located | None] = {}

    def locate(self, dataset: Dataset, language: str, split: str) -> Located:
        """Where a table is; the first layout of the catalogue whose files are there."""
        if (other := own_files(dataset)) is not None and other.path != self.path:
            return other.locate(dataset, language, split)
        declared = dataset.split(split)
        if declared.union:
            return locate_union(self, language, declared)
        found = self._find(dataset, language, declared)
        if found is not None:
            return found
        where = f"{dataset.name}, language {language}, split {split}"
        if language not in declared.languages:
            fix = language_advice(language, declared.languages)
            raise UserError(f"the split has no {language!r}", where=where, fix=fix)
        looked = ", ".join(dict.fromkeys(p for p in self._patterns(declared, language))) or "nowhere: no folder layout"
        raise UserError(
            f"not in folder {self.path}",
            where=where,
            fix=f"looked for {looked}; to get it: {dataset.get or 'see docs'}",
        )

    def languages(self, dataset: Dataset, split: str) -> tuple[str, ...]:
        """The languages of a split whose files are there."""
        if (other := own_files(dataset)) is not None and other.path != self.path:
            return other.languages(dataset, split)
        declared = dataset.split(split)
        if declared.union:
            return union_languages(self, declared)
        return tuple(code for code in declared.languages if self._find(dataset, code, declared) is not None)

    def _find(self, dataset: Dataset, language: str, split: Split) -> Located | None:
        key = (dataset.name, language, split.name)
        if key not in self._located:
            self._located[key] = None if language not in split.languages else self._search(dataset, language, split)
        return self._located[key]

    def _search(self, dataset: Dataset, language: str, split: Split) -> Located | None:
        for layout in split.layouts:
            if layout.languages and language not in layout.languages:
                continue
            files = self._files(layout, language)
            if files is not None:
                options = {
                    name: filled(value, language) if isinstance(value, str) else value
                    for name, value in layout.options.items()
                }
                if layout.reader.startswith("readers."):
                    files = {**files, OWN_READERS: Path(dataset.root) / own.READERS}
                params = reading(layout.reader, options, split, language, whole=layout.stand_in is None)
                return Located(files=files, params=params, stand_in=layout.stand_in, notes=layout.notes)
        return None

    def _files(self, layout: Layout, language: str) -> Mapping[str, Path] | None:
        for root in ROOTS:
            if not all(self._match(root, filled(pattern, language)) for pattern in layout.requires):
                continue
            files: dict[str, Path] = {}
            for role, pattern in layout.files.items():
                paths = self._match(root, filled(pattern, language))
                if not paths and role not in layout.optional:
                    break
                many = len(paths) > 1
                files |= {f"{role}.{n}" if many else role: self.path / path for n, path in enumerate(paths)}
            else:
                return files
        return None

    def _match(self, root: str, pattern: str) -> list[str]:
        """Paths below the folder that match, sorted; a compressed file stands for the file of that name."""
        found = [root] if root else [""]
        for component in pattern.split("/"):
            found = [f"{head}/{name}".lstrip("/") for head in found for name in self._names(head, component)]
        return sorted(found)

    def _names(self, folder: str, component: str) -> list[str]:
        listing = self._listing(folder)
        if "*" not in component:
            return [listing[component]] if component in listing else []
        return list(dict.fromkeys(listing[name] for name in listing if fnmatchcase(name, component)))

    def _listing(self, folder: str) -> dict[str, str]:
        if folder not in self._listings:
            try:
                names = sorted(path.name for path in (self.path / folder).iterdir())
            except (NotADirectoryError, FileNotFoundError):
                names = []
            plain = {name: name for name in names}
            bare = {name[: -len(end)]: name for name in names for end in COMPRESSED if name.endswith(end)}
            self._listings[folder] = {**bare, **plain}
        return self._listings[folder]

    def _patterns(self, split: Split, language: str) -> list[str]:
        layouts = [layout for layout in split.layouts if not layout.languages or language in layout.languages]
        return [filled(pattern, language) for layout in layouts for pattern in layout.files.values()]


@lru_cache(maxsize=64)
def _opened(folder: str) -> FolderSource:
    return FolderSource(Path(folder))


def own_files(dataset: Dataset) -> FolderSource | None:
    """The folder that the entry of a dataset names for its files, whatever the source of the others is.

    Raises:
        UserError: it is not there.
    """
    if not dataset.folder:
        return None
    if not Path(dataset.folder).is_dir():
        raise UserError(f"no folder {dataset.folder!r}", where=f"{dataset.name}.yaml: folder")
    return _opened(dataset.folder)


class Folders:
    """Several folders: each dataset is in the one that is named for it, else in the first that has the table.

    Args:
        folders: searched in order; none if all datasets have a folder of their own.
        of: dataset -> its folder.

    Raises:
        UserError: a folder does not exist.
    """

    kind = "folder"

    def __init__(self, folders: Sequence[Path], of: Mapping[str, Path] | None = None) -> None:
        self._all = [FolderSource(folder) for folder in folders]
        self._of = {name: FolderSource(folder) for name, folder in (of or {}).items()}

    def locate(self, dataset: Dataset, language: str, split: str) -> Located:
        """Where a table is."""
        having = self._for(dataset)
        if not having:
            where = f"{dataset.name}, language {language}, split {split}"
            raise UserError("no folder is named for it", where=where, fix="name one in data.folder or data.folders")
        return next((one for one in having if language in one.languages(dataset, split)), having[0]).locate(
            dataset, language, split
        )

    def languages(self, dataset: Dataset, split: str) -> tuple[str, ...]:
        """The languages of a split whose files are there."""
        there = {code for one in self._for(dataset) for code in one.languages(dataset, split)}
        return tuple(code for code in dataset.split(split).languages if code in there)

    def _for(self, dataset: Dataset) -> Sequence[Source]:
        if (files := own_files(dataset)) is not None:
            return [files]
        return [self._of[dataset.name]] if dataset.name in self._of else self._all
