"""JSON from outside: bounded, strict, and refused with a path into the document."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from huddle3d.errors import InputError
from huddle3d.io.limits import MAX_JSON_DEPTH, display_name

__all__ = ["json_path", "parse_json", "validate_json"]

Model = TypeVar("Model", bound=BaseModel)
_MAX_SHOWN = 5


def parse_json(data: bytes, source: str | os.PathLike[str]) -> Any:
    """The document, or :class:`InputError`. NaN and Infinity are let through here: the schema refuses them, naming where they are."""
    name = display_name(source)
    try:
        text = data.decode("utf-8-sig")
        tree = json.loads(text)
    except UnicodeDecodeError as e:
        raise InputError(f"{name}: not a JSON file.", why="It is not UTF-8 text.") from e
    except json.JSONDecodeError as e:
        raise InputError(f"{name}: not valid JSON.", why=f"{e.msg} at line {e.lineno}, column {e.colno}.") from e
    except (ValueError, RecursionError) as e:  # integers of thousands of digits; thousands of nested brackets
        raise InputError(f"{name}: not usable JSON.", why=str(e)) from e
    _check_depth(tree, name)
    return tree


def validate_json(tree: Any, model: type[Model], source: str | os.PathLike[str]) -> Model:
    """``tree`` as a pydantic model; :class:`InputError` names the file, and the path and value of each of the first mistakes."""
    try:
        return model.model_validate(tree)
    except ValidationError as e:
        found = e.errors(include_url=False, include_context=False)
        shown = [f"{json_path(m['loc'])}: {m['msg']} (got {str(m['input'])[:40]})" for m in found[:_MAX_SHOWN]]
        more = f" … and {len(found) - _MAX_SHOWN} more" if len(found) > _MAX_SHOWN else ""
        paths = tuple(json_path(m["loc"]) for m in found)
        raise InputError(f"{display_name(source)}: the file does not fit its format.", why="; ".join(shown) + more + ".", paths=paths) from e


def json_path(location: Iterable[int | str]) -> str:
    """``annotations[3].keypoints[7]`` for ``("annotations", 3, "keypoints", 7)``."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text or "(document)"


def _check_depth(tree: Any, name: str) -> None:
    level = [tree]
    for _ in range(MAX_JSON_DEPTH):
        level = [child for node in level if isinstance(node, dict | list) for child in (node.values() if isinstance(node, dict) else node)]
        level = [node for node in level if isinstance(node, dict | list)]
        if not level:
            return
    raise InputError(f"{name}: the JSON document is nested more than {MAX_JSON_DEPTH} deep.")
