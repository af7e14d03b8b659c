import http.client
import urllib.request

import numpy as np
import pytest

from huddle3d.errors import InputError
from huddle3d.io import MeshData, write_glb
from huddle3d.studio import Viewer, find_scene

pytest.importorskip("viser")


@pytest.fixture(scope="module")
def viewer(tmp_path_factory):
    path = tmp_path_factory.mktemp("view") / "scene.glb"
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    texture = np.full((4, 4, 3), 200, np.uint8)
    uv = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
    mesh = MeshData("person_0", vertices, faces, uv, np.tile(np.arange(3), (4, 1)), texture)
    write_glb(path, [mesh])
    viewer = Viewer(path, port=0)
    yield viewer
    viewer.stop()


def ask(viewer, path, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", viewer.port, timeout=10)
    connection.request("GET", path, headers=headers or {})
    response = connection.getresponse()
    body = response.read()
    return response, body


def test_without_the_link_nothing_is_served(viewer):
    response, body = ask(viewer, "/")
    assert response.status == 403
    assert b"link" in body


def test_the_proof_of_the_gate_goes_past_proxies(viewer, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody answers there
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)  # it keeps the proxies of its first use
    viewer._prove_gate()


def test_the_link_opens_the_viewer(viewer):
    response, _ = ask(viewer, viewer.url.partition(str(viewer.port))[2])
    assert response.status == 303
    cookie = response.getheader("Set-Cookie").partition(";")[0]
    response, body = ask(viewer, "/", {"Cookie": cookie})
    assert response.status == 200
    assert b"<html" in body.lower()


def test_foreign_websocket_is_refused(viewer):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    cookie = f"{viewer.gate.cookie}={viewer.gate.token}"
    with pytest.raises(InvalidStatus) as refusal:
        connect(f"ws://127.0.0.1:{viewer.port}", origin="http://evil.example", additional_headers={"Cookie": cookie})
    assert refusal.value.response.status_code == 403


def test_missing_scene_is_answered(tmp_path):
    with pytest.raises(InputError, match="no such scene"):
        find_scene(tmp_path)
