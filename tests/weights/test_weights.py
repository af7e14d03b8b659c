"""Weights: the registry is complete, half downloads never count, archives are not trusted."""

import hashlib
import os
import re
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from huddle3d.errors import InputError, WeightsMissingError
from huddle3d.weights import _download, _registry, card, fetch, registry, verify, weights_path

CONTENT = {"a.tflite": b"alpha" * 1000, "b.tflite": b"beta" * 700}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A registry with one set of two small files, an empty cache, and an archive that holds them."""
    files = tuple(_registry.WeightFile(name=n, member=f"inside/{n}", size=len(c), sha256=hashlib.sha256(c).hexdigest()) for n, c in CONTENT.items())
    entry = replace(registry()["blazepose"], name="tiny", files=files)
    monkeypatch.setattr(_registry, "registry", lambda: {"tiny": entry})
    monkeypatch.setenv("HUDDLE3D_CACHE", str(tmp_path / "cache"))
    return make_archive(tmp_path / "tiny.whl", CONTENT)


def make_archive(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("../../evil.txt", b"never unpacked")
        for name, data in content.items():
            z.writestr(f"inside/{name}", data)
    return path


def test_registry_is_complete() -> None:
    for name, entry in registry().items():
        assert entry.name == name and entry.files and entry.licence and entry.who_may_use
        assert len(card(name)) > 500
        for f in entry.files:
            assert len(f.sha256) == 64 and f.size > 0
            assert "/" not in f.name and ".." not in f.member
        if isinstance(entry.source, _registry.Embedded):
            assert entry.source.requirement.startswith("huddle3d train ") and entry.source.requirement in card(name)
            assert weights_path(name) == fetch(name) and entry.size <= 16_000_000
            continue
        assert re.search(r"[^=@]+(==|@)[0-9.]+$", entry.source.requirement), "a source is pinned to one version"
        assert entry.source.requirement in entry.source.by_hand and entry.source.requirement in card(name)


def test_embedded_weights_are_there_or_the_installation_is_damaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "embedded").mkdir()
    (tmp_path / "embedded" / "a.bin").write_bytes(b"alpha")
    file = _registry.WeightFile("a.bin", "a.bin", 5, hashlib.sha256(b"alpha").hexdigest())
    entry = replace(registry()["blazepose"], name="own", source=_registry.Embedded("huddle3d train own"), files=(file,))
    monkeypatch.setattr(_registry, "registry", lambda: {"own": entry})
    monkeypatch.setattr(_registry, "files", lambda _: tmp_path)
    monkeypatch.setenv("HUDDLE3D_CACHE", str(tmp_path / "cache"))
    assert weights_path("own") == fetch("own") == tmp_path / "embedded" and not verify("own")
    (tmp_path / "embedded" / "a.bin").write_bytes(b"alphb")
    for call in (weights_path, fetch):
        with pytest.raises(WeightsMissingError, match="Install huddle3d again"):
            call("own")
    assert not (tmp_path / "cache").exists()


def test_fetch_from_archive_then_path(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match="models fetch tiny"):
        weights_path("tiny")
    folder = fetch("tiny", archive=tiny)
    assert weights_path("tiny") == folder
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == CONTENT
    assert [p.name for p in folder.parent.iterdir()] == ["tiny"], "scratch folders must be gone"
    assert not list(tmp_path.rglob("evil.txt"))


@pytest.mark.parametrize("damage", [b"", b"alpha", b"x" * 5000])
def test_half_downloads_do_not_count_and_are_mended(tiny: Path, damage: bytes) -> None:
    folder = fetch("tiny", archive=tiny)
    (folder / "a.tflite").write_bytes(damage)
    assert any("a.tflite" in p for p in verify("tiny"))
    with pytest.raises(WeightsMissingError):
        weights_path("tiny")
    fetch("tiny", archive=tiny)
    assert not verify("tiny")


def test_archive_with_a_bomb_or_other_content_is_refused(tiny: Path, tmp_path: Path) -> None:
    bomb = make_archive(tmp_path / "bomb.whl", {**CONTENT, "b.tflite": b"\0" * 50_000_000})
    wrong = make_archive(tmp_path / "wrong.whl", {**CONTENT, "b.tflite": b"BETA" * 700})
    less = make_archive(tmp_path / "less.whl", {"a.tflite": CONTENT["a.tflite"]})
    damaged = tmp_path / "damaged.whl"
    first = tiny.read_bytes().index(b"inside/a.tflite") + len("inside/a.tflite")
    damaged.write_bytes(tiny.read_bytes()[:first] + b"\x07" + tiny.read_bytes()[first + 1 :])  # a block of a type that does not exist
    (tmp_path / "text.whl").write_text("not a zip")
    for path in (bomb, wrong, less, damaged, tmp_path / "text.whl", tmp_path / "absent.whl", tmp_path):
        with pytest.raises(WeightsMissingError) as e:
            fetch("tiny", archive=path)
        assert str(path) in str(e.value)
        assert list((tmp_path / "cache" / "weights").iterdir()) == [], "nothing half-written"
    assert os.path.getsize(bomb) < 200_000


def test_offline_says_what_to_do(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUDDLE3D_OFFLINE", "1")
    with pytest.raises(WeightsMissingError, match="--archive") as e:
        fetch("tiny")
    assert e.value.exit_code == 4


def test_failed_download_is_typed(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[1:4] == ["-m", "pip", "download"] and "--no-deps" in command
        return subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: No matching distribution found")

    monkeypatch.setattr(_download.subprocess, "run", failing)
    with pytest.raises(WeightsMissingError, match="No matching distribution"):
        fetch("tiny")


def test_unwritable_cache_is_typed(tiny: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HUDDLE3D_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsMissingError, match="HUDDLE3D_CACHE"):
        fetch("tiny", archive=tiny)


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="blazepose"):
        weights_path("nothing")


@pytest.mark.weights
@pytest.mark.parametrize("name", ["blazepose", "blazepose-heavy"])
def test_the_fetched_networks_match_the_registry(name: str) -> None:
    needed = name == "blazepose" and os.environ.get("CI")  # the set-up goes on without the larger network
    if not (_registry.cache_dir() / name).is_dir() and not needed:
        pytest.skip(f"run `huddle3d models fetch {name}` first")
    assert verify(name) == ()
