"""Samples per second: complete 512×512 photographs with all their truth, from prepared scenes and end to end.

    python benchmarks/synthesis.py [--scenes 2] [--photographs 16] [--size 512] [--workers 2] [--assets FOLDER] [--write FILE]

Each worker is a process with one thread and scenes of its own. A sample is RGB (lights, shadows, lens, JPEG there and back), normals, depth, ids of
people and parts, contact, amodal masks, keypoints with visibility. Each photograph has its own camera (half orthographic, half perspective), light,
backdrop and lens. Two figures:

- prepared: photographs of scenes whose people are solved, dressed and prepared (that share is not counted);
- end to end: everything from the scene file on, with this many photographs of each scene.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import time
from pathlib import Path


def work(job: tuple[int, argparse.Namespace]) -> dict[str, float]:
    """One worker: its scenes, one after the other. Seconds of each stage and CPU seconds of the photographs."""
    index, options = job
    import torch

    from huddle3d.bodies import load_body
    from huddle3d.synthesis import Assets, Shot, build_scene, photographs, prepare_scene, sample_spec, sample_style, view_cameras

    torch.set_num_threads(1)
    body = load_body()
    assets = Assets.open(options.assets) if options.assets else None
    out = {"build": 0.0, "prepare": 0.0, "photograph": 0.0, "photograph_cpu": 0.0, "count": 0.0}
    for round_ in range(options.scenes + 1):  # the first one warms up: kernels are compiled or loaded
        seed = options.seed + index * 1000 + round_
        start = time.perf_counter()
        built = build_scene(sample_spec(seed, assets=assets), body=body, assets=assets)
        solved = time.perf_counter()
        prepared = prepare_scene(built, body=body)
        ready = time.perf_counter()
        points = torch.cat([m.vertices for m in built.meshes])
        cameras = view_cameras(points, size=options.size, generator=torch.Generator().manual_seed(seed))
        total = options.photographs if round_ else 2
        shots = [Shot(cameras[k % 2][k // 2 % 8], *sample_style(64 * seed + k, held_out=False), seed=k) for k in range(total)]
        if not round_:
            list(photographs(prepared, shots))
            continue
        cpu, begin = time.process_time(), time.perf_counter()
        for sample in photographs(prepared, shots):
            assert sample.photo.image.shape == (options.size, options.size, 3)
        out["photograph"] += time.perf_counter() - begin
        out["photograph_cpu"] += time.process_time() - cpu
        out["build"] += solved - start
        out["prepare"] += ready - solved
        out["count"] += total
    out["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return out


def main() -> None:
    """Run the workers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=2, help="per worker")
    parser.add_argument("--photographs", type=int, default=16, help="per scene")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--assets", type=Path)
    parser.add_argument("--write", type=Path, help="JSON")
    options = parser.parse_args()
    os.environ["HUDDLE3D_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        rows = pool.map(work, [(k, options) for k in range(options.workers)], chunksize=1)
    photographs = sum(r["count"] / r["photograph"] for r in rows)
    whole = sum(r["count"] / (r["build"] + r["prepare"] + r["photograph"]) for r in rows)
    cpu_ms = 1000 * sum(r["photograph_cpu"] for r in rows) / sum(r["count"] for r in rows)
    scenes = options.scenes * options.workers
    result = {
        "size": options.size,
        "workers": options.workers,
        "scenes": scenes,
        "photographs_per_scene": options.photographs,
        "assets": options.assets is not None,
        "prepared_samples_per_s": round(photographs, 2),
        "end_to_end_samples_per_s": round(whole, 2),
        "cpu_ms_per_photograph": round(cpu_ms, 1),
        "solve_and_dress_s_per_scene": round(sum(r["build"] for r in rows) / scenes, 2),
        "prepare_s_per_scene": round(sum(r["prepare"] for r in rows) / scenes, 2),
        "peak_mb_per_worker": round(max(r["peak_mb"] for r in rows)),
        "machine": platform.processor() or platform.machine(),
    }
    for name, value in result.items():
        print(f"{name:30s} {value}")
    if options.write:
        options.write.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
