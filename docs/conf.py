"""Sphinx: the documentation site (``make docs``).

The source folder is the repository itself, so that the same relative links work on a code host and on the site, and so that pages which live
beside the code (benchmark results, model cards, design notes of a room, changelog) are pages of the site without copies.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from typing import Any

from docutils.nodes import Element
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon import GoogleDocstring
from sphinx.pycode import ModuleAnalyzer

import huddle3d
import huddle3d.errors

project = "huddle3d"
author = "The huddle3d authors"
copyright = "2026, the huddle3d authors"
version = release = huddle3d.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "benchmarks/**.md",
    "src/huddle3d/*/design.md",
    "src/huddle3d/weights/cards/*.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = [".*", "out", "local", "build", "tests", "shared", "scripts", "**/node_modules"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(torch|numpy|np|jaxtyping|collections|pathlib|os|pydantic|http|annotated_types|typing)\..*"),
    ("py:.*", r"Tensor|ndarray|Float|Int|UInt8|Bool|[A-Z]"),
    ("py:class", r".* .*"),
]
"""Names of other packages, type variables, and prose before a colon in a "Returns:" section. Names of this package must resolve."""

myst_heading_anchors = 4
"""Links may name any heading; the build checks them."""
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_type_aliases = {
    name: f"huddle3d.{room}.{name}" for name, room in (("Family", "synthesis"), ("SuiteName", "synthesis.suites.lists"), ("RGB", "synthesis"))
}
"""Shown by name: written out, the interactions alone fill a screen."""
highlight_language = "text"
autodoc_default_options = {"members": True, "special-members": "__call__"}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
napoleon_google_docstring = False  # applied below instead: on fields napoleon takes everything before a colon for a type
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"huddle3d {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["_static/index.html"]  # out/docs/index.html leads to docs/index.html
html_copy_source = False
html_show_sourcelink = False


def _public_names() -> dict[str, str]:
    """``module.Name`` where an object is written → ``room.Name`` where it is documented."""
    found: dict[str, str] = {}
    for info in pkgutil.walk_packages(huddle3d.__path__, "huddle3d."):
        if info.name.endswith("__main__") or not info.ispkg:
            continue
        room = importlib.import_module(info.name)
        for name in getattr(room, "__all__", ()):
            value = getattr(room, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                found[f"{value.__module__}.{value.__qualname__}"] = f"{info.name}.{name}"
    return found


def _is_private(target: str) -> bool:
    """Whether a module of the package has such an object: then it is private, and shown without a link."""
    module, _, name = target.rpartition(".")
    return any(m.startswith(module or "huddle3d") and hasattr(sys.modules[m], name) for m in list(sys.modules) if m.startswith("huddle3d"))


def _resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: Element) -> Element | None:
    """Annotations name the module an object is written in, docstrings often its bare name; link both to the public room."""
    if node.get("refdomain") != "py":
        return None
    target, names = node["reftarget"], _public_names_once()
    wanted = names.get(target) or next((public for public in names.values() if public.rpartition(".")[2] == target), None)
    if wanted is None:
        wanted = f"huddle3d.errors.{target}" if target in huddle3d.errors.__all__ else None
    if wanted is not None:
        domain = env.domains.python_domain
        return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", wanted, node, content)
    return content if _is_private(target) or target.rpartition(".")[2] in autodoc_type_aliases else None


_cache: dict[str, str] = {}


def _public_names_once() -> dict[str, str]:
    if not _cache:
        _cache.update(_public_names())
    return _cache


def _describe_constants(app: Sphinx) -> None:
    """Give a room's constants the text that stands below them in the module that defines them; autodoc only reads the room's own file."""
    for info in pkgutil.walk_packages(huddle3d.__path__, "huddle3d."):
        if not info.ispkg:
            continue
        room = importlib.import_module(info.name)
        inner = [m for m in list(sys.modules) if m.startswith("huddle3d.") and not m.endswith("__main__")]
        for name in getattr(room, "__all__", ()):
            value = getattr(room, name)
            if inspect.isclass(value) or inspect.isroutine(value):
                continue
            for module in inner:
                if module != info.name and getattr(sys.modules[module], name, None) is value:
                    docs = _analysed(module).attr_docs.get(("", name))
                    if docs:
                        _analysed(info.name).attr_docs[("", name)] = docs
                        break


def _analysed(module: str) -> ModuleAnalyzer:
    found = ModuleAnalyzer.for_module(module)
    found.analyze()
    return found


def _google(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Google-style sections of modules, classes and functions; the docstring of a field is plain text."""
    if what not in ("attribute", "data", "property"):
        lines[:] = str(GoogleDocstring(lines, app.config, app, what, name, obj, options)).splitlines()


def _readable_signature(app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None) -> Any:
    """A default that a factory makes is no Python, and Sphinx would split the signature at every comma; aliases in unions show their inside."""

    def plain(text: str | None) -> str | None:
        return re.sub(r"TypeAliasForwardRef\('[\w.]*?(\w+)'\)", r"\1", text).replace("<factory>", "...") if text else text

    return plain(signature), plain(returns)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect what this project adds to Sphinx."""
    app.connect("builder-inited", _describe_constants)
    app.connect("missing-reference", _resolve)
    app.connect("autodoc-process-docstring", _google)
    app.connect("autodoc-process-signature", _readable_signature)
    return {"parallel_read_safe": True}
