"""Writes ``docs/settings.md``: every setting of the main job with its default, from the docstrings of the configurations.

``make docs-settings`` runs it; a test holds the page to the code.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huddle3d.people import PeopleConfig

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"

HEAD = """\
# Settings

Every setting of every stage, with its default. On the command line: `--config.STAGE.NAME VALUE` (underscores become hyphens; a switch is
`--config.STAGE.NAME` or `--config.STAGE.no-NAME`), for `people`, `demo` and `eval people`. In a file of [variants](evaluation.md#variants): `"STAGE.NAME"`
with underscores. In Python: `dataclasses.replace`, or [`override`](how-to/python.md#settings). The resolved settings of a run are in its `config.json`.

The defaults are what the measured figures were made with. This page is written by `make docs-settings`.
"""


def _field_docs(cls: type) -> dict[str, str]:
    """The string under each field of a class."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    body = tree.body[0].body  # type: ignore[attr-defined]
    docs = {}
    for field, text in zip(body, body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            docs[field.target.id] = " ".join(str(text.value.value).split())  # type: ignore[union-attr]
    return docs


def _groups(config: Any, path: str, about: str) -> Iterator[tuple[str, str, list[tuple[str, str, str]]]]:
    """Each group of settings: its dotted path, what it is about, and its own rows."""
    docs, rows, inner = _field_docs(type(config)), [], []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            inner.append((value, f"{path}.{field.name}" if path else field.name, docs.get(field.name, "")))
        else:
            rows.append((field.name, _shown(value), docs.get(field.name, "")))
    if rows:
        yield path, about, rows
    for value, name, text in inner:
        yield from _groups(value, name, text)


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _markdown(text: str) -> str:
    """Docstrings are reStructuredText: roles and double backticks become code; bars would end a cell."""
    text = re.sub(r":[a-z]+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")
    return text.replace("|", "\\|")


def settings_page() -> str:
    """The whole page."""
    parts = [HEAD]
    for path, about, rows in _groups(PeopleConfig(), "", "Of the whole run"):
        parts.append(f"\n## {path or 'seed'}\n\n{_markdown(about)}\n" if path else "\n## The whole run\n")
        parts.append("\n| setting | default | meaning |\n|---|---|---|\n")
        prefix = f"{path}." if path else ""
        parts += [f"| `{prefix}{name}` | `{value}` | {_markdown(text)} |\n" for name, value, text in rows]
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(settings_page(), encoding="utf-8")
    print(PAGE)
