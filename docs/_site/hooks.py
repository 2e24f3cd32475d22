"""The pages of the manual that are not files of docs/: README, CONTRIBUTING, CHANGELOG, and what is read off the program.

Links to files of the repository that are no pages become links into the page that stands for them, or plain code.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]  # the program of this checkout, and the module beside this one
import reference  # noqa: E402

# Files outside docs/ that are pages, and the page that each is.
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that are made."""
    made = {page: (ROOT / source).read_text(encoding="utf-8") for source, page in PAGES.items()}
    made |= {f"reference/{name}.md": text() for name, text in reference.PAGES.items()}
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turns links that are right in the repository into links that are right in the manual."""
    from_root = page.file.src_uri in PAGES.values()
    return _LINK.sub(lambda link: _as_in_manual(link, from_root), markdown)


def _as_in_manual(link: re.Match[str], from_root: bool) -> str:
    text, target = link.groups()
    path, mark, place = target.partition("#")
    if from_root and path.startswith("docs/"):
        return f"[{text}]({path.removeprefix('docs/')}{mark}{place})" if (ROOT / path).is_file() else text
    outside = path if from_root else path.removeprefix("../")
    if outside in PAGES and (from_root or path.startswith("../")):
        return f"[{text}]({PAGES[outside]}{mark}{place})"
    if not re.match(r"\w+:", target) and (ROOT / outside).exists() and (from_root or path.startswith("../")):
        return text if text.startswith("`") else f"{text} (`{outside}`)"
    return link.group()
