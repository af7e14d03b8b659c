"""A tiny folder of assets made from the body model itself: a shirt and trousers that are patches of the tights, shoes, a cap, brows, lashes, eyes."""

import numpy as np
import torch
from PIL import Image

from huddle3d.io import MeshData, write_obj
from huddle3d.synthesis.assets.base_mesh import BASE_VERTICES


def _picture(path, colour, alpha=None):
    pixels = np.full((32, 32, 3), colour, np.uint8)
    if alpha is not None:
        pixels = np.concatenate([pixels, np.full((32, 32, 1), alpha, np.uint8)], -1)
    Image.fromarray(pixels).save(path)


def _asset(folder, name, base, rows, faces, hides=(), *, layer=50, push=0.0, picture=True, alpha=None):
    folder.mkdir(parents=True, exist_ok=True)
    points = base[rows]
    uv = (points[:, :2] - points[:, :2].min(0)) / (np.ptp(points[:, :2], axis=0) + 1e-9)
    write_obj(folder / f"{name}.obj", MeshData(name, (10 * points).astype(np.float32), faces, uv.astype(np.float32), faces))
    lines = [f"name {name}", f"obj_file {name}.obj", "verts 0", f"z_depth {layer}"]
    centre = points.mean(0)
    for row, p in zip(rows, points, strict=True):
        d = push * (p - centre) / (np.linalg.norm(p - centre) + 1e-9)
        lines.append(str(row) if push == 0 else f"{row} {row} {row} 1 0 0 {d[0]:.6f} {d[1]:.6f} {d[2]:.6f}")
    lines += ["delete_verts", " ".join(map(str, hides))]
    (folder / f"{name}.mhclo").write_text("\n".join(lines) + "\n")
    if picture:
        _picture(folder / (f"{name}.png" if alpha is not None else f"{name}.jpg"), (120, 80, 60), alpha)


def patch(body, base_rows, keep, garment=None):
    """Rows of the base mesh and faces of a part of the body or of a helper mesh; ``keep`` decides on places of the template."""
    points, faces = (body.surface, body.faces) if garment is None else (body.garments[garment].points, body.garments[garment].faces)
    template = points.template.numpy()
    chosen = faces.numpy()[keep(template)[faces.numpy()].all(1)]
    used, faces = np.unique(chosen, return_inverse=True)
    return base_rows[used], faces.reshape(-1, 3).astype(np.int64), used


def make(folder, body):
    """Write the folder; returns the base mesh [m] as (19158, 3)."""
    points = [body.surface, *(g.points for g in body.garments.values())]
    own = torch.cat([p.template for p in points]).numpy().astype(np.float64)
    base = np.stack([np.full(BASE_VERTICES, 5.0), np.arange(BASE_VERTICES) * 1e-3, np.zeros(BASE_VERTICES)], -1)
    base[: len(own)] = own  # our own order; what the body lacks lies far away
    (folder / "base").mkdir(parents=True)
    lines = [f"v {x:.9f} {y:.9f} {z:.9f}" for x, y, z in 10 * base]
    (folder / "base" / "base.obj").write_text("\n".join(lines) + "\nf 1 2 3\n")
    n = body.num_vertices
    tights = np.arange(n, n + len(body.garments["tights"].points.template))
    y = own[:n, 1]
    shirt_rows, shirt_faces, _ = patch(body, tights, lambda t: (t[:, 1] > 0.02) & (t[:, 1] < 0.5), "tights")
    leg_rows, leg_faces, _ = patch(body, tights, lambda t: (t[:, 1] < 0.05) & (t[:, 1] > -0.7), "tights")
    rows, faces = np.concatenate([shirt_rows, leg_rows]), np.concatenate([shirt_faces, leg_faces + len(shirt_rows)])
    hides = np.flatnonzero((y < 0.3) & (y > -0.6) & (np.abs(own[:n, 0]) < 0.25))
    _asset(folder / "clothes" / "suit", "suit", base, rows, faces, hides)
    skin = np.arange(n)
    rows, faces, _ = patch(body, skin, lambda t: t[:, 1] < -0.72)
    _asset(folder / "clothes" / "shoes", "shoes", base, rows, faces, rows, layer=5, push=0.05)
    rows, faces, _ = patch(body, skin, lambda t: t[:, 1] > 0.78)
    _asset(folder / "hair" / "cap", "cap", base, rows, faces, push=0.1, alpha=255)
    head = (0.65, 0.70)
    rows, faces, _ = patch(body, skin, lambda t: (t[:, 1] > head[0]) & (t[:, 1] < head[1]) & (t[:, 2] > 0.1))
    for kind in ("eyebrows", "eyelashes"):
        _asset(folder / kind / "line", "line", base, rows, faces, alpha=200)
    _asset(folder / "eyes", "high-poly", base, rows, faces, picture=False)
    _picture(folder / "eyes" / "brown_eye.png", (90, 50, 20), 255)
    (folder / "skins").mkdir()
    _picture(folder / "skins" / "pale.jpg", (220, 180, 160))
    return base
