"""Text of an SVG as outlines: a drawing then looks the same wherever it is opened, whatever fonts are there.

An SVG can carry a font, but what is used for papers (Inkscape, Illustrator, LaTeX's converters) does not read it there.
The words stay in the file as `aria-label`. The font is Roboto (Apache-2.0), which comes as a package.
"""

from __future__ import annotations

import html
import re
from functools import cache
from pathlib import Path
from typing import Any

FONT = "Roboto"
_TEXT = re.compile(r"<text ([^>]*)>(.*?)</text>")
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_OF_FONT = ("text-anchor", "font-family", "font-size", "font-weight", "font-style")


def font_folder() -> Path:
    """Where the font's files lie."""
    import font_roboto

    return Path(font_roboto.Roboto).parent


def outlined(svg: str) -> str:
    """The drawing with its texts as paths; a text with a character that the font lacks stays a text.

    Args:
        svg: as Vega writes it: each text in one line, its size in pixels, its place in `transform`.
    """
    return _TEXT.sub(_as_path, svg)


def _as_path(found: re.Match[str]) -> str:
    attributes = dict(_ATTRIBUTE.findall(found[1]))
    text = html.unescape(found[2])
    font = _Font.named("Bold" if attributes.get("font-weight") in ("bold", "600", "700") else "Regular")
    drawn = font.outline(
        text, float(attributes["font-size"].removesuffix("px")), attributes.get("text-anchor", "start")
    )
    if drawn is None:
        return found[0]
    place = attributes.pop("transform", "")
    kept = "".join(f' {name}="{value}"' for name, value in attributes.items() if name not in _OF_FONT)
    label = html.escape(text)
    return f'<path role="img" aria-label="{label}" transform="{f"{place} {drawn[0]}".strip()}" d="{drawn[1]}"{kept}/>'


class _Font:
    """One weight of the font: its characters' outlines and widths."""

    def __init__(self, weight: str) -> None:
        from fontTools.ttLib import TTFont

        font: Any = TTFont(font_folder() / f"{FONT}-{weight}.ttf")
        self._glyphs, self._names, self._widths = font.getGlyphSet(), font.getBestCmap(), font["hmtx"]
        self._units = int(font["head"].unitsPerEm)

    @staticmethod
    @cache
    def named(weight: str) -> _Font:
        """The font in a weight, read once."""
        return _Font(weight)

    def outline(self, text: str, size: float, anchor: str) -> tuple[str, str] | None:
        """Transform and path of a line of text; None where a character is missing.

        Args:
            text: the line.
            size: pixels.
            anchor: `start`, `middle` or `end`: which part of the line lies at the origin.
        """
        from fontTools.pens.svgPathPen import SVGPathPen
        from fontTools.pens.transformPen import TransformPen

        if any(ord(letter) not in self._names for letter in text):
            return None
        pen, at = SVGPathPen(self._glyphs), 0
        for letter in text:
            name = self._names[ord(letter)]
            self._glyphs[name].draw(TransformPen(pen, (1, 0, 0, 1, at, 0)))
            at += self._widths[name][0]
        scale = size / self._units
        start = {"middle": -at / 2, "end": -at}.get(anchor, 0) * scale
        return f"translate({start:.3f},0) scale({scale:.6f},{-scale:.6f})", pen.getCommands()
