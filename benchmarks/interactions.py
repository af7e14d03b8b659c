"""Every interaction family, solved over several seeds: greatest penetration, greatest gap at the wanted contacts, seconds.

OMP_NUM_THREADS=1 HUDDLE3D_THREADS=1 python benchmarks/interactions.py --seeds 5 [--assets ../shared/data] [FAMILY[:PEOPLE] ...]
… --suite crowd    the scenes of a suite, one row each
"""

import argparse
import statistics
import time

import torch

from huddle3d.bodies import load_body
from huddle3d.evaluation import group_penetration
from huddle3d.synthesis import (
    ALL_FAMILIES,
    MotionSpec,
    close_frames,
    families_for,
    goal_gaps,
    plan_motion,
    read_couple,
    sample_spec,
    solve_interaction,
)
from huddle3d.synthesis.poses.interactions import plan_interaction
from huddle3d.synthesis.suites.lists import SuiteName, open_suite_list


def solve_suite(name: SuiteName) -> None:
    """One row per scene of a suite: deepest, widest gap, CPU seconds."""
    body = load_body()
    for scene in open_suite_list(name).scenes:
        shape = torch.tensor([p.shape for p in scene.spec.people])
        plan = plan_interaction(scene.spec.family, body, shape, torch.Generator().manual_seed(scene.spec.seed))
        start = time.process_time()
        params = solve_interaction(plan, body)
        seconds = time.process_time() - start
        with torch.no_grad():
            depth = group_penetration([(v, body.faces) for v in body(params).vertices])[0]
        print(f"| {scene.name} | {depth:.1f} | {1000 * max(goal_gaps(plan, params, body), default=0.0):.1f} | {seconds:.1f} |", flush=True)


def main() -> None:
    """Print one table row per family."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--assets", default=None)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--suite", choices=("heldout", "crowd", "hard"), default=None)
    options = parser.parse_args()
    if options.suite:
        solve_suite(options.suite)
        return
    wanted = options.cases or [f if f in families_for(2) else f"{f}:4" for f in ALL_FAMILIES if f != "motion"]
    body = load_body()
    clip = read_couple("01", options.assets) if options.assets else None
    if clip is not None and not options.cases:
        wanted.append("motion")
    for case in wanted:
        family, _, number = case.partition(":")
        people = int(number or 2)
        rows = []
        for seed in range(1, options.seeds + 1):
            spec = sample_spec(seed, people=people, family=None if family == "motion" else family)
            shape = torch.tensor([p.shape for p in spec.people])
            start = time.perf_counter()
            if family == "motion":
                frames = close_frames(*clip)
                plan = plan_motion(MotionSpec("01", frames[seed * 7 % len(frames)]), body, shape, assets=options.assets)
            else:
                plan = plan_interaction(family, body, shape, torch.Generator().manual_seed(seed))
            params = solve_interaction(plan, body)
            seconds = time.perf_counter() - start
            with torch.no_grad():
                depth = group_penetration([(v, body.faces) for v in body(params).vertices])[0] if people > 1 else 0.0
            rows.append((depth, 1000 * max(goal_gaps(plan, params, body), default=0.0), seconds))
        depths, gaps, seconds = zip(*rows)
        listed = " ".join(f"{g:.0f}" for g in gaps)
        print(f"| {family} | {people} | {max(depths):.1f} | {max(gaps):.1f} ({listed}) | {statistics.median(seconds):.1f} |", flush=True)


if __name__ == "__main__":
    main()
