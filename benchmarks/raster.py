"""Rasterising two bodies in six views of 512²: huddle3d against its torch twin and Open3D's ray casting.

    python benchmarks/raster.py --threads 2 --rounds 12 --write benchmarks/results/raster-cpu.md

Every candidate returns face index, barycentrics and depth of the same pixels. Candidates are interleaved in one process, so that a busy machine
slows all of them alike; ratios use the best round of each. Open3D is used if it can be imported (``pip install huddle3d[bench]``; it needs
libusb-1.0, libGL, libEGL and libX11).
"""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import sys
from pathlib import Path

import numpy as np
import torch

from contact import Candidate, body_mesh, machine, measure
from huddle3d.geometry import Camera, canonical_cameras


def scene() -> tuple[torch.Tensor, torch.Tensor, str]:
    """Two copies of the body side by side, overlapping in four of the six views, in the canonical cube."""
    vertices, faces, what = body_mesh()
    height = float(vertices[:, 1].max() - vertices[:, 1].min())
    vertices = (vertices - (vertices.amin(0) + vertices.amax(0)) / 2) * (1.9 / height)
    both = torch.cat([vertices - torch.tensor([0.35, 0, 0.05]), vertices + torch.tensor([0.35, 0, 0.05])])
    return both.contiguous(), torch.cat([faces, faces + len(vertices)]), f"Twice: {what}"


def huddle(vertices: torch.Tensor, faces: torch.Tensor, camera: Camera, backend: str, gradient: bool) -> tuple[np.ndarray, np.ndarray]:
    """Face index and depth by our rasteriser; with a backward pass through barycentrics and depth if asked for."""
    from huddle3d.render import rasterize

    os.environ["HUDDLE3D_KERNELS"] = backend
    if not gradient:
        out = rasterize(vertices, faces, camera)
        return out.face_id.numpy(), out.depth.numpy()
    leaf = vertices.clone().requires_grad_()
    out = rasterize(leaf, faces, camera)
    (out.depth.sum() + out.bary[..., 0].sum()).backward()
    return out.face_id.numpy(), out.depth.detach().numpy()


def open3d_candidates(vertices: torch.Tensor, faces: torch.Tensor, camera: Camera) -> list[Candidate]:
    """Build and cast (a mesh that moves, as in fitting), and cast alone."""
    try:
        import open3d
    except (ImportError, OSError) as error:
        print(f"Open3D: peer not installed ({error})")
        return []
    uv = camera.pixel_centres().reshape(1, -1, 2).expand(len(camera.K), -1, -1)
    start = camera.unproject(uv, torch.zeros(uv.shape[:-1]))
    ahead = camera.T_cam_world[:, None, 2, :3].expand_as(start)
    shape = (len(camera.K), camera.height, camera.width)
    rays = open3d.core.Tensor(torch.cat([start, ahead], -1).reshape(*shape, 6).contiguous().numpy())
    v, f = open3d.core.Tensor(vertices.numpy()), open3d.core.Tensor(faces.numpy().astype(np.uint32))

    def build() -> open3d.t.geometry.RaycastingScene:
        casting = open3d.t.geometry.RaycastingScene()
        casting.add_triangles(v, f)
        return casting

    def cast(casting: open3d.t.geometry.RaycastingScene) -> tuple[np.ndarray, np.ndarray]:
        hit = casting.cast_rays(rays)
        face, depth = hit["primitive_ids"].numpy(), hit["t_hit"].numpy()
        miss = ~np.isfinite(depth)
        return np.where(miss, -1, face.astype(np.int64)), np.where(miss, 0, depth)

    static = build()
    return [Candidate("Open3D, build + cast", lambda: cast(build())), Candidate("Open3D, cast only (tree built before)", lambda: cast(static))]


def table(candidates: list[Candidate]) -> str:
    """Times [ms], the best relative to the first row's best, and agreement with the first row."""
    first = candidates[0]
    id0, z0 = first.result  # type: ignore[misc]
    lines = [
        "| candidate | min ms | median ms | min / first row's min | covered pixels | same face | median depth difference |",
        "|---|---|---|---|---|---|---|",
    ]
    for c in candidates:
        face, depth = c.result  # type: ignore[misc]
        both = (face >= 0) & (id0 >= 0)
        same, off = (face[both] == id0[both]).mean(), np.median(np.abs(depth[both] - z0[both]))
        best, median = min(c.seconds) * 1e3, statistics.median(c.seconds) * 1e3
        ratio = best / min(first.seconds) / 1e3
        lines.append(f"| {c.name} | {best:.1f} | {median:.1f} | {ratio:.2f} | {int((face >= 0).sum())} | {same * 100:.3f} % | {off:.1e} |")
    return "\n".join(lines)


def main() -> None:
    """Time all candidates and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=0, help="processors that the whole run may use (0: all)")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--no-twin", action="store_true")
    parser.add_argument("--peers", type=Path, help="site-packages folder of another environment that holds the peers")
    parser.add_argument("--write", type=Path, help="append the table to this file")
    args = parser.parse_args()
    usable = sorted(os.sched_getaffinity(0))
    threads = args.threads or len(usable)
    os.sched_setaffinity(0, usable[:threads])  # before any pool starts: Open3D sizes its own by it
    os.environ["HUDDLE3D_THREADS"] = str(threads)
    torch.set_num_threads(threads)
    if args.peers:
        sys.path.append(str(args.peers))
    vertices, faces, what = scene()
    camera = canonical_cameras(args.size)
    ours = [("huddle3d (Warp)", "warp", False, None), ("huddle3d (Warp), forward + backward", "warp", True, None)]
    ours += [] if args.no_twin else [("huddle3d (torch twin)", "torch", False, 3), ("huddle3d (torch twin), forward + backward", "torch", True, 3)]
    candidates = [
        Candidate(name, lambda b=backend, g=gradient: huddle(vertices, faces, camera, b, g), rounds=rounds)
        for name, backend, gradient, rounds in ours
    ]
    candidates += open3d_candidates(vertices, faces, camera)
    measure(candidates, args.rounds)
    stamp = datetime.datetime.now(datetime.UTC).date()
    text = f"## {stamp}, {threads} thread(s), 6 × {args.size}²\n\n"
    text += f"{what}: {len(vertices)} vertices, {len(faces)} triangles, canonical orthographic cameras. {machine(threads)}.\n\n"
    text += f"Command: `python {' '.join(sys.argv)}`\n\n{table(candidates)}\n"
    print(text)
    if args.write:
        args.write.parent.mkdir(parents=True, exist_ok=True)
        old = args.write.read_text() + "\n" if args.write.exists() else ""
        args.write.write_text(old + text)


if __name__ == "__main__":
    main()
