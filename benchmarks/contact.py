"""Signed distance of 10,000 points to a body of some 27,000 triangles: huddle3d against its torch twin, Open3D and libigl.

    python benchmarks/contact.py --threads 2 --rounds 12 --write benchmarks/results/contact-cpu.md

Candidates are interleaved in one process, so that a busy machine slows all of them alike; ratios use the best round of each.
Peers are used if they can be imported (``pip install huddle3d[bench]``; Open3D needs libusb-1.0, libGL, libEGL and libX11).
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch


@dataclass
class Candidate:
    """One way to do a task, with its timings."""

    name: str
    run: Callable[[], object]
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    result: object = None
    rounds: int | None = None


def body_mesh() -> tuple[torch.Tensor, torch.Tensor, str]:
    """The default body in an A-pose, or a lumpy capsule with as many triangles if the body cannot be loaded."""
    try:
        from huddle3d.bodies import load_body

        body = load_body("anny")
        vertices = body(body.neutral(1)).vertices[0]
        return vertices.detach().float().contiguous(), body.faces, "default body, rest pose"
    except (ImportError, AttributeError, FileNotFoundError):
        rings, sectors = 118, 117
        t, p = torch.meshgrid(torch.linspace(0, torch.pi, rings), torch.arange(sectors) * (2 * torch.pi / sectors), indexing="ij")
        radius = 0.2 + 0.03 * torch.sin(7 * p) * torch.sin(9 * t)
        vertices = torch.stack([radius * t.sin() * p.cos(), t.cos() * 0.25 + 0.6 * torch.tanh(4 * t.cos()), radius * t.sin() * p.sin()], -1)
        i, j = torch.meshgrid(torch.arange(rings - 1), torch.arange(sectors), indexing="ij")
        a, b = i * sectors + j, i * sectors + (j + 1) % sectors
        faces = torch.cat([torch.stack([a, b, a + sectors], -1).reshape(-1, 3), torch.stack([b, b + sectors, a + sectors], -1).reshape(-1, 3)])
        return vertices.reshape(-1, 3).contiguous(), faces, "lumpy capsule (the body could not be loaded)"


def query_points(vertices: torch.Tensor, count: int, spread: str) -> torch.Tensor:
    """Seeded points: uniform in the body's box (5 cm wider), or near the skin (normal, 3 cm), as contact terms ask for."""
    g = torch.Generator().manual_seed(0)
    if spread == "box":
        low, high = vertices.amin(0) - 0.05, vertices.amax(0) + 0.05
        return low + (high - low) * torch.rand(count, 3, generator=g)
    rows = torch.randint(len(vertices), (count,), generator=g)
    return vertices[rows] + 0.03 * torch.randn(count, 3, generator=g)


def distance_candidates(vertices: torch.Tensor, faces: torch.Tensor, points: torch.Tensor, twin: bool) -> list[Candidate]:
    """Signed distance with the trees built beforehand, except libigl, whose call builds its own."""
    from huddle3d.contact import MeshQuery

    query = MeshQuery(vertices, faces)
    v_grad, p_grad = vertices.clone().requires_grad_(), points.clone().requires_grad_()
    differentiable = MeshQuery(v_grad, faces)

    def with_gradient() -> None:
        v_grad.grad = p_grad.grad = None
        differentiable.signed_distance(p_grad).sum().backward()

    out = [
        Candidate("huddle3d (Warp), signed", lambda: query.signed_distance(points).numpy()),
        Candidate("huddle3d (Warp), signed + gradients", with_gradient),
        Candidate("huddle3d (Warp), signed, within 10 cm", lambda: query.signed_distance(points, max_distance=0.1).numpy()),
        Candidate("huddle3d (Warp), closest point only", lambda: query.closest_point(points).distance.numpy()),
        Candidate("huddle3d (Warp), refit + signed", lambda: query.refit(vertices).signed_distance(points).numpy()),
    ]
    if twin:
        slow = MeshQuery(vertices, faces, backend="torch")
        some = points[:200]
        out.append(Candidate("huddle3d (torch twin), signed, 200 points", lambda: slow.signed_distance(some).numpy(), rounds=2))
    return out + peer_candidates(vertices, faces, points)


def peer_candidates(vertices: torch.Tensor, faces: torch.Tensor, points: torch.Tensor) -> list[Candidate]:
    """Those of the other libraries that can be imported."""
    out: list[Candidate] = []
    v, f, p = vertices.numpy(), faces.numpy(), points.numpy()
    try:
        import open3d

        scene = open3d.t.geometry.RaycastingScene()
        scene.add_triangles(open3d.core.Tensor(v), open3d.core.Tensor(f.astype(np.uint32)))
        p_open3d = open3d.core.Tensor(p)
        out.append(Candidate("Open3D, compute_signed_distance", lambda: scene.compute_signed_distance(p_open3d).numpy()))
    except (ImportError, OSError) as error:
        print(f"Open3D left out: {error}", file=sys.stderr)
    try:
        import igl

        v64, f64, p64 = v.astype(np.float64), f.astype(np.int64), p.astype(np.float64)
        kind = igl.SIGNED_DISTANCE_TYPE_FAST_WINDING_NUMBER
        out.append(Candidate("libigl, signed_distance (fast winding, with its tree)", lambda: igl.signed_distance(p64, v64, f64, sign_type=kind)[0]))
    except (ImportError, OSError) as error:
        print(f"libigl left out: {error}", file=sys.stderr)
    return out


def build_candidates(vertices: torch.Tensor, faces: torch.Tensor) -> list[Candidate]:
    """Tree building and refitting alone."""
    from huddle3d.contact import MeshQuery

    signed, plain = MeshQuery(vertices, faces), MeshQuery(vertices, faces, winding=False)
    out = [
        Candidate("huddle3d, build with winding", lambda: MeshQuery(vertices, faces)),
        Candidate("huddle3d, build without", lambda: MeshQuery(vertices, faces, winding=False)),
        Candidate("huddle3d, refit with winding", lambda: signed.refit(vertices)),
        Candidate("huddle3d, refit without", lambda: plain.refit(vertices)),
    ]
    try:
        import open3d

        v, f = open3d.core.Tensor(vertices.numpy()), open3d.core.Tensor(faces.numpy().astype(np.uint32))
        nothing = open3d.core.Tensor(np.zeros((1, 3), np.float32))

        def build() -> object:
            scene = open3d.t.geometry.RaycastingScene()
            scene.add_triangles(v, f)
            return scene.compute_distance(nothing)  # the first query commits the tree

        out.append(Candidate("Open3D, build", build))
    except (ImportError, OSError):
        pass
    return out


def measure(candidates: list[Candidate], rounds: int) -> None:
    """Interleaved timing; the first round of each is not counted."""
    for k in range(rounds + 1):
        for c in candidates:
            if c.rounds is not None and k > c.rounds:
                continue
            start, cpu_start = time.perf_counter(), time.process_time()
            c.result = c.run()
            if k:
                c.seconds.append(time.perf_counter() - start)
                c.cpu_seconds.append(time.process_time() - cpu_start)


def table(candidates: list[Candidate]) -> str:
    """Best and median wall time, best processor time of all threads (which other work on the machine hardly touches), ratios to the first row."""
    first, cpu_first = min(candidates[0].seconds), min(candidates[0].cpu_seconds)
    lines = ["| candidate | min ms | median ms | CPU min ms | min ratio | CPU ratio | inside |", "|---|---|---|---|---|---|---|"]
    for c in candidates:
        negative = str(int((np.asarray(c.result) < 0).sum())) if isinstance(c.result, np.ndarray) and "signed" in c.name else ""
        best, median = min(c.seconds) * 1e3, statistics.median(c.seconds) * 1e3
        cpu = min(c.cpu_seconds) * 1e3
        ratios = f"{best / first / 1e3:.2f} | {cpu / cpu_first / 1e3:.2f}"
        lines.append(f"| {c.name} | {best:.2f} | {median:.2f} | {cpu:.2f} | {ratios} | {negative} |")
    return "\n".join(lines)


def machine(threads: int) -> str:
    """Processor and package versions."""
    cpu = next(
        (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), platform.processor()
    )
    versions = []
    for package in ("huddle3d", "torch", "warp-lang", "open3d", "libigl", "numpy"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{package} absent")
    load = f"load {os.getloadavg()[0]:.1f} at the end"
    return f"{cpu}; {threads} thread(s); Python {platform.python_version()}; {', '.join(versions)}; {load}"


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=0, help="processors that the whole run may use (0: all)")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--no-twin", action="store_true")
    parser.add_argument("--peers", type=Path, help="site-packages folder of another environment that holds the peers")
    parser.add_argument("--write", type=Path, help="append the tables to this file")
    args = parser.parse_args()
    usable = sorted(os.sched_getaffinity(0))
    threads = args.threads or len(usable)
    os.sched_setaffinity(0, usable[:threads])  # before any pool starts: libigl and Open3D size theirs by it
    os.environ["HUDDLE3D_THREADS"] = str(threads)
    torch.set_num_threads(threads)
    if args.peers:
        sys.path.append(str(args.peers))
    vertices, faces, what = body_mesh()
    parts = []
    for spread in ("box", "skin"):
        candidates = distance_candidates(vertices, faces, query_points(vertices, args.points, spread), not args.no_twin and spread == "box")
        measure(candidates, args.rounds)
        parts.append(f"### {args.points} points, {'uniform in the box' if spread == 'box' else 'within a few cm of the skin'}\n\n{table(candidates)}")
    builds = build_candidates(vertices, faces)
    measure(builds, args.rounds)
    parts.append(f"### Trees\n\n{table(builds)}")
    stamp = datetime.datetime.now(datetime.UTC).date()
    head = f"## {stamp}, {threads} thread(s)\n\n{what}: {len(vertices)} vertices, {len(faces)} triangles. {machine(threads)}.\n\n"
    command = [a for k, a in enumerate(sys.argv) if a != "--peers" and sys.argv[k - 1] != "--peers"]
    head += f"Command: `python {' '.join(command)}`"
    text = "\n\n".join([head, *parts]) + "\n"
    print(text)
    if args.write:
        args.write.parent.mkdir(parents=True, exist_ok=True)
        old = args.write.read_text() + "\n" if args.write.exists() else ""
        args.write.write_text(old + text)


if __name__ == "__main__":
    main()
