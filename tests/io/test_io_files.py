"""Outputs are complete or absent, and nothing is overwritten unless asked."""

import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huddle3d.errors import InputError, ResourceLimitError
from huddle3d.io import atomic_file, prepare_output_dir, read_regular_file, safe_name, write_bytes


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    with atomic_file(path) as tmp:
        tmp.write_bytes(b"half")
        assert not path.exists() and tmp.suffix == ".bin"
        tmp.write_bytes(b"whole")
    assert path.read_bytes() == b"whole" and [p.name for p in tmp_path.iterdir()] == ["out.bin"]


def test_an_error_or_interrupt_leaves_nothing(tmp_path: Path) -> None:
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), atomic_file(tmp_path / "out.bin") as tmp:
            tmp.write_bytes(b"half")
            raise error
    assert not list(tmp_path.iterdir())


def test_an_error_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    write_bytes(path, b"old")
    with pytest.raises(RuntimeError), atomic_file(path, overwrite=True) as tmp:
        tmp.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"


def test_nothing_is_overwritten_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    write_bytes(path, b"old")
    with pytest.raises(InputError, match=r"out\.bin: already exists.*--overwrite"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    write_bytes(path, b"new", overwrite=True)
    assert path.read_bytes() == b"new"


def test_of_two_writers_the_second_loses(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    with pytest.raises(InputError, match="already exists"), atomic_file(path) as tmp:
        tmp.write_bytes(b"second")
        write_bytes(path, b"first")
    assert path.read_bytes() == b"first" and len(list(tmp_path.iterdir())) == 1


def test_without_hard_links_it_still_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError("not supported")

    monkeypatch.setattr(os, "link", no_links)
    write_bytes(tmp_path / "a", b"1")
    assert (tmp_path / "a").read_bytes() == b"1"
    with pytest.raises(InputError, match="already exists"), atomic_file(tmp_path / "b") as tmp:
        tmp.write_bytes(b"second")
        (tmp_path / "b").write_bytes(b"first")
    assert (tmp_path / "b").read_bytes() == b"first"


def test_a_dangling_link_counts_as_existing(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="already exists"):
        write_bytes(tmp_path / "link", b"x")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("where", ["missing/out.bin", "file/out.bin", "x" * 300])
def test_a_place_that_cannot_be_written(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="cannot be written"):
        write_bytes(tmp_path / where, b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for overwrite in (False, True):
        with pytest.raises(InputError):
            write_bytes(tmp_path / "out", b"x", overwrite=overwrite)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No space left"), atomic_file(tmp_path / "out.bin"), open("/dev/full", "wb", buffering=0) as full:
        full.write(b"x")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
def test_kill_9_leaves_no_half_file(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from huddle3d.io import atomic_file\n"
        "with atomic_file(sys.argv[1]) as tmp:\n    tmp.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "out.bin")], check=False)
    assert done.returncode == -9 and not (tmp_path / "out.bin").exists()


def test_output_folder(tmp_path: Path) -> None:
    folder = prepare_output_dir(tmp_path / "a" / "b")
    assert folder.is_dir() and not list(folder.iterdir())
    assert prepare_output_dir(folder) == folder  # empty: fine
    (folder / "precious.txt").write_text("x")
    with pytest.raises(InputError, match="not empty.*--overwrite"):
        prepare_output_dir(folder)
    with pytest.raises(InputError, match="not empty"):
        prepare_output_dir(folder, marker="run.json")
    prepare_output_dir(folder, overwrite=True)
    (folder / "run.json").write_text("{}")
    prepare_output_dir(folder, marker="run.json")
    assert (folder / "precious.txt").read_text() == "x"
    for path in (folder / "precious.txt", folder / "precious.txt" / "deeper"):
        with pytest.raises(InputError, match="not a folder"):
            prepare_output_dir(path)


def test_what_a_killed_run_leaves_is_no_content(tmp_path: Path) -> None:
    (tmp_path / ".huddle3d-0123456789ab.mp4").write_bytes(b"half")
    (tmp_path / ".lock").touch()
    prepare_output_dir(tmp_path)
    (tmp_path / ".precious").touch()
    with pytest.raises(InputError, match="not empty"):
        prepare_output_dir(tmp_path)


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs a place where nobody may write")
def test_unwritable_output_folder() -> None:
    for path in ("/proc/huddle3d", "/proc"):
        with pytest.raises(InputError, match=rf"{path}: the output folder cannot be written"):
            prepare_output_dir(path, overwrite=True)


def test_the_byte_budget_is_counted_while_reading(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(100))
    assert len(read_regular_file(tmp_path / "big", 100)) == 100
    with pytest.raises(ResourceLimitError, match="big"):
        read_regular_file(tmp_path / "big", 99)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a b", "a b"), ("../../etc/passwd", "_.._etc_passwd"), ("-rf", "rf"), (".hidden", "hidden"), ("", "unnamed"), ("..", "unnamed"), ("con", "_con"), ("a\nb", "a_b"), ("東京", "東京")],
)  # fmt: skip
def test_safe_names(text: str, expected: str) -> None:
    assert safe_name(text) == expected


@given(st.text(max_size=300))
def test_safe_names_are_safe(text: str) -> None:
    name = safe_name(text)
    assert name and len(name.encode()) <= 121 and name.isprintable()
    assert not set(name) & set('/\\:*?"<>|') and name[0] not in ".- " and name[-1] not in ". "
    assert safe_name(name) == name
    assert safe_name(unicodedata.normalize("NFD", text)) == safe_name(unicodedata.normalize("NFC", text))
