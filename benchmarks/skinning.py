"""Forward and forward + backward of the default body: full surface, landmarks alone, contact proxy alone; against the anny package.

    ANNY_CACHE_DIR=/tmp/anny_cache python benchmarks/skinning.py --write benchmarks/results/skinning-cpu.md

Candidates are interleaved in one process, so that a busy machine slows all of them alike. The peer is used if it can be imported
(``pip install 'huddle3d[anny]'``; its first start takes two minutes and writes a cache of about one gigabyte).
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import importlib.util
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch

from huddle3d.bodies import load_body
from huddle3d.scene import BodyParams

Evaluate = Callable[[BodyParams], torch.Tensor]


def peer(method: str) -> Evaluate:
    """The anny package with the same rank of its basis; rotation vectors are converted within the call, as ours are."""
    import anny

    from huddle3d.geometry import so3_exp

    model = anny.Anny(topology="anny", phenotype_blendshapes=64, skinning_method=method).to(torch.float32)

    def run(params: BodyParams) -> torch.Tensor:
        R = so3_exp(params.pose)
        top = torch.cat([R, torch.zeros_like(R[..., :1])], -1)
        bottom = torch.tensor([0.0, 0, 0, 1]).expand(*top.shape[:2], 1, 4)
        return model(pose_parameters=torch.cat([top, bottom], -2), phenotype_kwargs=params.shape)["vertices"]

    return run


def candidates() -> dict[str, Evaluate]:
    """What is measured."""
    body = load_body()
    out: dict[str, Evaluate] = {
        "huddle3d, full surface (13718)": lambda p: body(p).vertices,
        "huddle3d, landmarks (75)": body.landmarks,
        "huddle3d, contact proxy (1200)": body.proxy_skinned,
    }
    if importlib.util.find_spec("anny"):
        out["anny, full surface, lbs"] = peer("lbs")
        out["anny, full surface, warp_lbs"] = peer("warp_lbs")
    return out


def random_params(count: int) -> BodyParams:
    """Posed bodies with gradients in all parameters."""
    body, g = load_body(), torch.Generator().manual_seed(0)
    neutral = body.neutral(count)
    shape = (neutral.shape + 0.1 * torch.randn(neutral.shape.shape, generator=g)).requires_grad_()
    pose = (0.2 * torch.randn(neutral.pose.shape, generator=g)).requires_grad_()
    return BodyParams(shape, pose, neutral.translation.requires_grad_(), neutral.expression)


def once(run: Evaluate, params: BodyParams, backward: bool) -> tuple[float, float]:
    """Wall and processor time [ms] of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    with torch.set_grad_enabled(backward):
        result = run(params)
    if backward:
        result.sum().backward()
    return 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)


def measure(runs: dict[str, Evaluate], count: int, rounds: int) -> list[str]:
    """Rows of the table for one batch size."""
    params = random_params(count)
    jobs = [(name, backward) for name in runs for backward in (False, True)]
    times: dict[tuple[str, bool], list[tuple[float, float]]] = {job: [] for job in jobs}
    for k in range(rounds + 2):
        for name, backward in jobs:
            result = once(runs[name], params, backward)
            if k >= 2:
                times[name, backward].append(result)
    rows = []
    for name in runs:
        (wall, cpu), (wall_b, cpu_b) = ([min(t[i] for t in times[name, b]) for i in (0, 1)] for b in (False, True))
        rows.append(f"| {name} | {count} | {wall:.1f} / {wall_b:.1f} | {cpu:.1f} / {cpu_b:.1f} |")
    return rows


def report(rounds: int, batches: list[int]) -> str:
    """The whole section in Markdown."""
    runs = candidates()
    rows = [row for count in batches for row in measure(runs, count, rounds)]
    packages = ("torch", "anny", "warp-lang")
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in packages if importlib.util.find_spec(p.removesuffix("-lang")))
    machine = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} thread(s), load {os.getloadavg()[0]:.1f} at the end"
    head = "| what | bodies | wall ms, forward / forward + backward | CPU ms, forward / forward + backward |\n|---|---|---|---|"
    return (
        f"## {datetime.date.today()}\n\n{machine}; Python {platform.python_version()}, {versions}; best of {rounds} rounds, float32.\n\n{head}\n"
        + "\n".join(rows)
        + "\n"
    )


def main() -> None:
    """Print the table, append it to a file on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--write", type=Path, help="append the table to this file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    text = report(args.rounds, args.batches)
    print(text)
    if args.write:
        title = (
            ""
            if args.write.exists()
            else "# Skinning of the default body, CPU\n\n`benchmarks/skinning.py`; the machine is shared: read ratios and processor times.\n\n"
        )
        with args.write.open("a", encoding="utf-8") as file:
            file.write(f"{title}{text}\nCommand: `python benchmarks/skinning.py --threads {args.threads} --rounds {args.rounds}`\n")


if __name__ == "__main__":
    main()
