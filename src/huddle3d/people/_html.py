"""The report as one self-contained HTML page: no script, no network, pictures embedded."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

__all__ = ["Figure", "Section", "page", "table"]

_NUMBER = re.compile(r"[<+-]?\d|–$|\[[+-]?\d")
"""Beginning of a cell that holds a number, an interval, or the dash of an undefined value."""

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid var(--line); }
figure { display: inline-block; margin: .4rem .6rem .4rem 0; vertical-align: top; }
figure img { max-width: 100%; border: 1px solid var(--line); border-radius: 4px; }
figcaption { font-size: .85rem; opacity: .8; }
table { border-collapse: collapse; margin: .6rem 0; } th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: left; }
td.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; } .wide { overflow-x: auto; } .warn { background: #f6c34433; border-left: 4px solid #e0a100; padding: .4rem .8rem; margin: .4rem 0; }
pre { background: var(--soft); padding: .8rem; overflow: auto; font-size: .8rem; } summary { cursor: pointer; }
"""


@dataclass(frozen=True)
class Figure:
    """A picture with a caption."""

    image: np.ndarray
    """(H, W, 3) uint8."""
    caption: str

    def render(self) -> str:
        """The figure as HTML with the picture embedded as JPEG."""
        buffer = io.BytesIO()
        Image.fromarray(self.image).save(buffer, "JPEG", quality=88)
        data = base64.b64encode(buffer.getvalue()).decode()
        caption = html.escape(self.caption)
        return f'<figure><img alt="{caption}" src="data:image/jpeg;base64,{data}"><figcaption>{caption}</figcaption></figure>'


@dataclass(frozen=True)
class Section:
    """A heading with figures, ready HTML, warnings and text that is folded away."""

    title: str
    figures: Sequence[Figure] = ()
    body: str = ""
    warnings: Sequence[str] = ()
    folded: Sequence[tuple[str, str]] = ()

    def render(self) -> str:
        """The section as HTML."""
        parts = [f"<h2>{html.escape(self.title)}</h2>", self.body]
        parts += [f'<div class="warn">{html.escape(w)}</div>' for w in self.warnings]
        parts += [figure.render() for figure in self.figures]
        parts += [f"<details><summary>{html.escape(t)}</summary><pre>{html.escape(text)}</pre></details>" for t, text in self.folded]
        return "\n".join(p for p in parts if p)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """An HTML table; numbers, also as text, are set right and unbroken, floats with one decimal. Wide tables scroll inside the page."""

    def cell(value: object) -> str:
        if isinstance(value, float):
            return f'<td class="n">{value:.1f}</td>'
        if isinstance(value, int):
            return f'<td class="n">{value}</td>'
        kind = ' class="n"' if _NUMBER.match(str(value)) else ""
        return f"<td{kind}>{html.escape(str(value))}</td>"

    body = "".join("<tr>" + "".join(cell(v) for v in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{"".join(f"<th>{html.escape(h)}</th>" for h in head)}</tr>{body}</table></div>'


def page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The whole document."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1><p>{html.escape(lead)}</p>"
        + "\n".join(section.render() for section in sections)
        + "</body></html>\n"
    )
