"""The pages say what the code does: examples run, commands and their options exist, every option is named, the generated page is current.

Links and references are checked by the build of the site (``make docs``, warnings are errors).
"""

import ast
import contextlib
import doctest
import functools
import importlib
import importlib.util
import io
import pkgutil
import re
import shlex
from pathlib import Path

import pytest

import huddle3d
from huddle3d.cli import main
from huddle3d.cli.app import with_default_verb

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"])
ROOMS = [m.name for m in pkgutil.walk_packages(huddle3d.__path__, "huddle3d.") if m.ispkg]


def blocks(page, *languages):
    """Fenced blocks of a page in one of the languages."""
    found = re.findall(r"^( *)```(\w+)\n(.*?)^\1```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, language, text in found if language in languages]


def run_doctest(test):
    """Run one doctest; the failures go into the message."""
    said = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=said.append)
    assert runner.failures == 0, "".join(said)


def modules_with_examples():
    """Modules of the package whose source holds a prompt."""
    found = [f for f in sorted((ROOT / "src" / "huddle3d").rglob("*.py")) if re.search(r"^ *>>> ", f.read_text(encoding="utf-8"), re.MULTILINE)]
    return [".".join(f.relative_to(ROOT / "src").with_suffix("").parts) for f in found]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_of_docstrings(name):
    tests = [t for t in doctest.DocTestFinder().find(importlib.import_module(name)) if t.examples]
    assert tests, f"the examples of {name} stand where doctest does not look"
    for test in tests:
        run_doctest(test)


@pytest.mark.parametrize("page", [p for p in PAGES if any(">>> " in b for b in blocks(p, "python"))], ids=lambda p: p.name)
def test_examples_of_pages(page):
    for k, text in enumerate(b for b in blocks(page, "python") if ">>> " in b):
        run_doctest(doctest.DocTestParser().get_doctest(text, {}, f"{page.name}[{k}]", str(page), 0))


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.name)
def test_python_of_pages_names_what_exists(page):
    """Longer examples need a finished run; at least they parse, and what they import from the package is there."""
    for text in blocks(page, "python"):
        code = "".join(e.source for e in doctest.DocTestParser().get_examples(text)) if ">>> " in text else text
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("huddle3d"):
                module = importlib.import_module(node.module)
                assert not [a.name for a in node.names if not hasattr(module, a.name)]


@functools.cache
def help_of(*verbs):
    """What ``huddle3d VERB --help`` prints, in one wide column."""
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "1000")
        with contextlib.redirect_stdout(out), pytest.raises(SystemExit):
            main([*verbs, "--help"])
    return out.getvalue()


def commands(*verbs):
    """All commands below these verbs, groups left out."""
    text = help_of(*verbs)
    inner = re.search(r"^usage: [^\n]*\{([a-z0-9_,-]+)\}\s*$", text, re.MULTILINE) if "subcommands" in text else None
    return [c for name in inner[1].split(",") for c in commands(*verbs, name)] if inner else [verbs]


def options_of(verbs):
    """Long options of a command; the opposite of a switch (--no-…) is the same option."""
    found = set(re.findall(r"(?<![\w-])--[a-z](?:[\w-]|\.(?=\w))*", help_of(*verbs)))
    return {o for o in found if not re.search(r"(^--|\.)no-", o)} - {"--help"}


def section(text, heading):
    """A page's text from a heading to the next one of its level or above."""
    match = re.search(rf"^(#+) {re.escape(heading)}$(.*?)(?=^#{{1,2}} |\Z)", text, re.MULTILINE | re.DOTALL)
    return match[2] if match else ""


def test_the_commands_are_found():
    assert {("people",), ("models", "fetch"), ("eval", "people")} <= set(commands())
    assert {"--coco", "--config.carve.iterations", "--overwrite"} <= options_of(("people",))


@pytest.mark.parametrize("verbs", commands(), ids=" ".join)
def test_every_option_is_named_on_the_command_page(verbs):
    text = section((ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), " ".join(verbs))
    assert text, f"docs/cli.md has no section '## {' '.join(verbs)}'"
    options = {o for o in options_of(verbs) if not o.startswith("--config.")}
    named = set(re.findall(r"`(--[a-z-]+)`", text))
    assert named == options, f"not on the page: {options - named}; no such option: {named - options}"
    assert ("settings.md" in text) == any(o.startswith("--config.") for o in options_of(verbs))


def command_lines():
    """Each call of ``huddle3d`` in the pages' shell blocks."""
    for page in PAGES:
        for text in blocks(page, "sh"):
            for line in text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words and Path(words[0]).name == "huddle3d":
                    yield pytest.param(with_default_verb(words[1:]), id=f"{page.stem}: {' '.join(words[1:4])}")


@pytest.mark.parametrize("words", list(command_lines()))
def test_commands_of_pages_exist(words):
    verbs = next(c for c in commands() if tuple(words[: len(c)]) == c)
    used = {w.partition("=")[0] for w in words if w.startswith("--")}
    assert used <= options_of(verbs) | {"--help"}


def test_settings_page_is_current():
    """Written by ``make docs-settings``."""
    spec = importlib.util.spec_from_file_location("write_settings", ROOT / "scripts" / "write_settings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = module.settings_page()
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == page, "run make docs-settings"
    on_line = {o.removeprefix("--config.").replace("-", "_") for o in options_of(("people",)) if o.startswith("--config.")}
    assert set(re.findall(r"^\| `([\w.]+)`", page, re.MULTILINE)) == on_line


def test_every_room_has_an_api_page():
    pages = {p.stem for p in (ROOT / "docs" / "api").glob("*.md")}
    public = {r for r in ROOMS if hasattr(importlib.import_module(r), "__all__")}  # the others' names come out through the room above them
    missing = {r.removeprefix("huddle3d.") for r in public} - {"cli"} - pages
    assert not missing, "write docs/api/ROOM.md like its neighbours, and name it twice in docs/api/index.md"


def test_results_name_their_commands():
    """Every table of results is in the list of how figures are made, and every script that pages name exists."""
    page = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert {f.name for f in (ROOT / "benchmarks" / "results").glob("*.md")} == set(re.findall(r"\(results/([\w-]+\.md)\)", page))
    named = {m for p in PAGES for m in re.findall(r"(?:benchmarks|scripts)/\w+\.py", p.read_text(encoding="utf-8"))}
    assert named and not [n for n in named if not (ROOT / n).is_file()]


def test_links_of_the_readme():
    """The one page that is not on the site, where the build checks links."""
    links = re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(links) > 5 and not [link for link in links if "://" not in link and not (ROOT / link).exists()]
