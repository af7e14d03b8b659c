"""A look at a finished scene in the browser: textured people that can be shown, hidden and orbited."""

from __future__ import annotations

import contextlib
import io
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from huddle3d.errors import HuddleError, InputError
from huddle3d.io import MeshData, read_glb
from huddle3d.io.mesh_data import corner_split
from huddle3d.studio.gate import Gate

__all__ = ["Viewer", "find_scene"]


def find_scene(path: Path) -> Path:
    """The GLB file that a path means: the file itself or ``scene.glb`` in a run's folder."""
    if path.is_dir():
        path = path / "scene.glb"
    if not path.is_file():
        raise InputError(f"{path}: no such scene.", next_step="Name a .glb file or the output folder of `huddle3d people`.")
    return path


class Viewer:
    """A viser server on 127.0.0.1 behind a :class:`Gate`.

    Args:
        path: a GLB file.
        port: port to listen on; the next free one is taken if it is in use, 0 lets the system choose.
    """

    def __init__(self, path: Path, port: int = 8080) -> None:
        try:
            import viser
        except ImportError as e:
            raise InputError("The viewer needs viser.", why="It is not installed.", next_step="pip install 'huddle3d[viewer]'") from e
        meshes = read_glb(path)
        self.gate = Gate()
        # viser announces an address without the token, even when told not to be verbose
        with self.gate.installed(), contextlib.redirect_stdout(io.StringIO()):
            self.server = viser.ViserServer(host="127.0.0.1", port=port or _free_port(), label=f"huddle3d · {path.name}", verbose=False)
        self.port = self.server.get_port()
        self._prove_gate()
        self._fill(meshes)

    @property
    def url(self) -> str:
        """The link to open, with the token."""
        return f"http://127.0.0.1:{self.port}/?token={self.gate.token}"

    def stop(self) -> None:
        """Stop serving."""
        self.server.stop()

    def _prove_gate(self) -> None:
        """Refuse to serve if a request without the token is answered (a viser that starts its server in another way)."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy of the environment would answer in the viewer's place
        try:
            with direct.open(f"http://127.0.0.1:{self.port}/", timeout=10):
                status = 200
        except urllib.error.HTTPError as e:
            status = e.code
        if status != 403:
            self.server.stop()
            raise HuddleError("The viewer's access check is not in force.", why=f"A request without the token got status {status}.")

    def _fill(self, meshes: list[MeshData]) -> None:
        scene: Any = self.server.scene
        scene.set_up_direction("+y")
        low = np.min([m.vertices.min(0) for m in meshes], 0)
        high = np.max([m.vertices.max(0) for m in meshes], 0)
        centre, size = (low + high) / 2, float(np.max(high - low))
        scene.add_grid("/floor", plane="xz", width=4 * size, height=4 * size, position=(float(centre[0]), float(low[1]), float(centre[2])))
        scene.configure_default_lights()
        for mesh in meshes:
            handle = scene.add_mesh_trimesh(f"/people/{mesh.name}", _to_trimesh(mesh))
            box = self.server.gui.add_checkbox(mesh.name, initial_value=True)
            box.on_update(lambda event, handle=handle, box=box: setattr(handle, "visible", box.value))

        self.server.initial_camera.position = tuple(centre + np.array([0.25, 0.12, 1.25]) * size)
        self.server.initial_camera.look_at = tuple(centre)
        self.server.initial_camera.up = (0.0, 1.0, 0.0)


def _to_trimesh(mesh: MeshData) -> Any:
    import trimesh
    from PIL import Image
    from trimesh.visual import TextureVisuals
    from trimesh.visual.material import PBRMaterial

    if mesh.uv is None or mesh.faces_uv is None or mesh.texture is None:
        return trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=mesh.colours, process=False)
    vertex, uv, faces = corner_split(mesh)
    material = PBRMaterial(baseColorTexture=Image.fromarray(mesh.texture), metallicFactor=0.0, roughnessFactor=0.9)
    visual = TextureVisuals(uv=mesh.uv[uv], material=material)
    return trimesh.Trimesh(mesh.vertices[vertex], faces, visual=visual, process=False)


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
