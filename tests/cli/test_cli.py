"""The command line answers bad input with a message, an exit code and nothing half-written."""

import io
import json
import os
import struct
import subprocess
import sys
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from huddle3d import cli
from huddle3d.cli import evaluate, main
from huddle3d.cli.eval_scenes import exit_status
from huddle3d.evaluation import SceneResult


def png_header_only(width, height):
    """A PNG that claims a size and holds no pixels to speak of."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((200, 300, 3), 128, np.uint8)).save(path)
    return path


def people(tmp_path, *args):
    return main(["people", *map(str, args), "--output", str(tmp_path / "out"), "--device", "cpu"])


BAD_FILES = {
    "empty.jpg": (b"", 2, "empty"),
    "text.jpg": (b"hello, I am not a picture", 2, "text.jpg"),
    "bomb.png": (png_header_only(30000, 30000), 3, "pixels"),
    "page.pdf": (b"%PDF-1.7\n1 0 obj\n", 2, "page.pdf"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_files_that_are_no_photos(name, tmp_path, capsys):
    data, code, words = BAD_FILES[name]
    (tmp_path / name).write_bytes(data)
    assert people(tmp_path, tmp_path / name) == code
    message = capsys.readouterr().err
    assert name in message
    assert words in message
    assert "Traceback" not in message
    assert not (tmp_path / "out").exists()


def test_truncated_photo(tmp_path, capsys):
    good = tmp_path / "good.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)).save(good)
    bad = tmp_path / "cut.jpg"
    bad.write_bytes(good.read_bytes()[:2000])
    assert people(tmp_path, bad) == 2
    assert "cut.jpg" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_folder_and_missing_file(tmp_path, capsys):
    assert people(tmp_path, tmp_path) == 2
    assert people(tmp_path, tmp_path / "gone.jpg") == 2
    assert "no such file" in capsys.readouterr().err


def test_no_photo_named(capsys):
    assert main(["people"]) == 2
    assert "No photo" in capsys.readouterr().err


def test_output_under_a_file(tmp_path, photo, capsys):
    (tmp_path / "out").write_text("a file")
    assert people(tmp_path, photo) == 2
    assert "out" in capsys.readouterr().err


def test_unknown_device(tmp_path, photo, capsys):
    assert main(["people", str(photo), "--device", "tpu"]) == 6
    assert "auto, cpu, cuda" in capsys.readouterr().err


@pytest.mark.parametrize("option", [("--focal-px", "-3"), ("--focal-px", "nan"), ("--max-side", "10"), ("--max-memory", "0")])
def test_options_out_of_range(option, tmp_path, photo, capsys):
    assert people(tmp_path, photo, *option) == 2
    assert option[0] in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_errors_as_json(tmp_path, capsys):
    assert people(tmp_path, tmp_path / "gone.jpg", "--log-format", "json") == 2
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert events[-1]["event"] == "error"
    assert events[-1]["type"] == "InputError"


def test_one_bad_photo_does_not_end_the_others(tmp_path, photo, capsys):
    assert people(tmp_path, tmp_path / "gone.jpg", tmp_path / "gone2.jpg") == 2
    message = capsys.readouterr().err
    assert "gone.jpg" in message
    assert "gone2.jpg" in message


@pytest.mark.weights
def test_nobody_in_the_picture(tmp_path, photo, capsys):
    code = people(tmp_path, photo)
    message = capsys.readouterr().err
    assert code in (2, 7)
    assert "COCO" in message
    assert not list((tmp_path / "out").rglob("scene*"))


def coco(tmp_path, x):
    person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 80, 150], "keypoints": [x, 20, 2] * 17, "num_keypoints": 17}
    document = {
        "images": [{"id": 1, "file_name": "grey.png", "width": 300, "height": 200}],
        "annotations": [person],
        "categories": [{"id": 1, "name": "person"}],
    }
    path = tmp_path / "people.json"
    path.write_text(json.dumps(document))
    return path


def test_nan_in_a_coco_file(tmp_path, photo, capsys):
    assert people(tmp_path, photo, "--coco", coco(tmp_path, float("nan"))) == 2
    message = capsys.readouterr().err
    assert "people.json" in message
    assert not list((tmp_path / "out").rglob("scene*")) if (tmp_path / "out").exists() else True


def test_ctrl_c_is_no_traceback(monkeypatch, photo, tmp_path, capsys):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("huddle3d.cli.people.run_photo", stop)
    assert people(tmp_path, photo) == 130
    assert "resume" in capsys.readouterr().err


def test_a_defect_is_no_traceback_unless_asked(monkeypatch, photo, tmp_path, capsys):
    def broken(*args, **kwargs):
        raise RuntimeError("inner detail")

    monkeypatch.setattr("huddle3d.cli.people.run_photo", broken)
    assert people(tmp_path, photo) == 1
    message = capsys.readouterr().err
    assert "defect" in message
    assert "Traceback" not in message
    monkeypatch.setenv("HUDDLE3D_DEBUG", "1")
    with pytest.raises(RuntimeError, match="inner detail"):
        people(tmp_path, photo)


def test_names_that_collide_get_their_own_folder(tmp_path):
    from huddle3d.cli.people import _directories

    paths = tuple(tmp_path / p for p in ("a/IMG.jpg", "b/img.png", "c/other.jpg"))
    folders = _directories(paths, tmp_path / "out")
    assert len({str(f).casefold() for f in folders}) == 3
    assert folders[2] == tmp_path / "out" / "other"
    assert all(f.parent == tmp_path / "out" for f in folders)


@pytest.mark.parametrize("verb", ["demo", "people", "synth", "train", "view", "doctor", "models", "eval"])
def test_every_verb_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as done:
        main([verb, "--help"])
    assert done.value.code == 0
    assert len(capsys.readouterr().out) > 80


def test_models_list_and_doctor_name_the_weights(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HUDDLE3D_CACHE", str(tmp_path))
    assert main(["models", "list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("blazepose-heavy", "sam2.1-large", "LicenseRef"))
    assert main(["models", "card", "blazepose-heavy"]) == 0
    assert "pose_landmark_heavy" in capsys.readouterr().out
    assert main(["doctor"]) == 1
    captured = capsys.readouterr()
    assert "huddle3d models fetch blazepose" in captured.out.replace("\n", " ") or "fetch" in captured.out
    assert main(["models", "verify", "blazepose"]) == 4
    assert main(["models", "verify", "blazepose-heavy"]) == 4


def test_exit_codes_are_documented():
    text = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "cli.md")
    table = open(text, encoding="utf-8").read()
    assert all(f"| {code} |" in table for code in cli.EXIT_CODES)


def test_the_command_line_decides_about_threads_before_torch_is_there():
    code = "import huddle3d.cli, sys; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_python_dash_m():
    done = subprocess.run([sys.executable, "-m", "huddle3d", "--help"], capture_output=True, text=True, check=True)
    assert "demo" in done.stdout and "people" in done.stdout


def test_missing_annotations_and_odd_view_options(tmp_path, capsys):
    photo = tmp_path / "grey.png"
    Image.new("RGB", (300, 200), (120, 120, 120)).save(photo)
    assert main(["people", str(photo), "--output", str(tmp_path / "out"), "--coco", str(tmp_path / "no.json")]) == 2
    assert "no.json" in capsys.readouterr().err
    for options in (["--port", "99999"], ["--seconds", "nan"], ["--seconds", "-1"]):
        assert main(["view", str(tmp_path), *options]) == 2


def test_eval_refuses_bad_options_before_it_works(tmp_path, capsys):
    (tmp_path / "v.json").write_text('{"a": {"carve.no_such": 1}}')
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    base = ["eval", "people", "--output", str(tmp_path / "out")]
    for options, told in (
        (["--dataset", "hi4d"], "--data"),
        (["--dataset", "hi4d", "--data", str(tmp_path)], "Hi4D"),
        (["--variants", str(tmp_path / "v.json")], "no_such"),
        (["--variants", str(tmp_path / "absent.json")], "absent.json"),
        (["--html", str(tmp_path / "full")], "not empty"),
        (["--scenes", "0"], "--scenes"),
        (["--json", str(tmp_path / "v.json")], "numbers of an evaluation"),
        (["--json", str(tmp_path / "full")], "cannot be written"),
    ):
        assert main([*base, *options]) == 2
        assert told in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "out").exists()


def test_eval_tells_by_its_exit_code_that_nothing_was_measured(tmp_path, monkeypatch, capsys):
    def failing(sample, protocol, *_, variant="", **__):
        return SceneResult(sample.name, sample.family, protocol, None, "nobody was found", 1.0, 1.0, variant, ()), None

    samples = [SimpleNamespace(name=f"{k:03d}", family="hug", meshes=[]) for k in range(2)]
    monkeypatch.setattr(evaluate, "evaluate_sample", failing)
    monkeypatch.setattr(evaluate, "load_body", lambda **_: None)
    monkeypatch.setattr(evaluate, "_synthetic", lambda *_: iter(samples))
    numbers = tmp_path / "n.json"
    command = ["eval", "people", "--bodies", "true", "--output", str(tmp_path / "out"), "--json", str(numbers)]
    assert main(command) == 7 and "2 of 2 were not measured" in capsys.readouterr().err
    first = json.loads(numbers.read_text())
    assert [s["failure"] for s in first["scenes"]] == ["nobody was found"] * 2
    del samples[1]
    assert main(command) == 7  # numbers of an evaluation may be replaced by newer ones
    assert len(json.loads(numbers.read_text())["scenes"]) == 1


def test_eval_ends_well_if_some_scenes_were_measured(capsys):
    assert exit_status(["", "", ""], "text") == 0 and capsys.readouterr().err == ""
    assert exit_status(["", "nobody was found", ""], "text") == 0 and "1 of 3" in capsys.readouterr().err


@pytest.mark.parametrize("args", [["models", "list"], ["--help"]])
def test_output_that_cannot_show_a_letter_shows_a_question_mark(args, monkeypatch):
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr(sys, "stdout", pipe)
    try:
        code = main(args)
    except SystemExit as error:  # the parser's way out after its help
        code = error.code
    pipe.flush()
    assert not code
    assert b"?" in pipe.buffer.getvalue()


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory.\nTried"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_too_little_memory_is_no_defect(error, photo, tmp_path, capsys, monkeypatch):
    def hungry(*_, **__):
        raise error

    monkeypatch.setattr(sys.modules["huddle3d.cli.people"], "run_photo", hungry)
    assert people(tmp_path, photo) == 3
    assert people(tmp_path, photo, tmp_path / "absent.png") == 3  # the first failure; the other is told, too
    message = capsys.readouterr().err
    assert message.count("memory is too small") == 2 and "--max-side" in message and "no such file" in message
    assert "defect" not in message
