"""Does the proxemics prior earn its row? Fits of held-out pairs with and without it, from true keypoints and from noisy ones with hidden limbs.

OMP_NUM_THREADS=1 HUDDLE3D_THREADS=1 python benchmarks/prior.py --bank held.safetensors --pairs 12 --variants '{"without": {}, "with": {"weight_prior": 0.3}}'

``--network`` measures the network alone instead: how far rough estimates of the bank's pairs are off before and after it (seconds).

The bank comes from ``huddle3d train bank --held --neighbours 0``: interactions, takes of motion, seeds and builds that training never saw.
"""

import argparse
import json
import math
import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch

from huddle3d.bodies import load_body
from huddle3d.contact import contact_regions
from huddle3d.diffusion import load_prior, read_prior
from huddle3d.evaluation import body_metrics
from huddle3d.fitting import FitConfig, fit
from huddle3d.geometry import apply
from huddle3d.render import instance_ids, merge_meshes, rasterize
from huddle3d.scene import People2D, Photo
from huddle3d.scene.landmarks import LANDMARKS
from huddle3d.synthesis import CameraSpec, place_camera
from huddle3d.training import PoseBank, PriorTraining, RoughConfig, read_bank, validate_prior

WIDTH, HEIGHT = 640, 640
CHAINS = (
    ("left_elbow", "left_wrist", "left_hand", "left_thumb", "left_index", "left_middle", "left_ring", "left_pinky"),
    ("right_elbow", "right_wrist", "right_hand", "right_thumb", "right_index", "right_middle", "right_ring", "right_pinky"),
    ("left_knee", "left_ankle", "left_big", "left_small", "left_heel"),
    ("right_knee", "right_ankle", "right_big", "right_small", "right_heel"),
    ("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
)


def observe(body, params, camera, generator, *, noise, hidden):
    """Keypoints, 3D landmarks and masks of the true bodies; ``noise`` in shares of a person's height, ``hidden`` the share of limbs left out."""
    out = body(params)
    uv, _ = camera.project(out.landmarks)
    height = (uv[..., 1].amax(1) - uv[..., 1].amin(1))[:, None, None]
    uv = uv + noise * height * torch.randn(uv.shape, generator=generator)
    confidence = body.landmark_valid.float().expand(2, -1).clone()
    for person in range(2):
        for chain in CHAINS:
            if float(torch.rand((), generator=generator)) < hidden:
                rows = [i for i, n in enumerate(LANDMARKS) if n.startswith(chain)]
                confidence[person, rows] = 0
    view = apply(camera.T_cam_world, out.landmarks)
    centred = view - view[:, [11, 12]].mean(1, keepdim=True) + 0.03 * torch.randn(view.shape, generator=generator)
    v, f, owner = merge_meshes([(each, body.faces) for each in out.vertices])
    ids = instance_ids(rasterize(v, f, camera), owner)[0]
    masks = torch.stack([ids == k for k in range(2)])
    seen = confidence[..., None] > 0
    low, high = torch.where(seen, uv, torch.inf).amin(1), torch.where(seen, uv, -torch.inf).amax(1)
    boxes = torch.cat([low.clamp_min(0), high.clamp_max(float(WIDTH))], -1)
    return People2D(
        ("person_0", "person_1"), boxes, torch.ones(2), torch.cat([uv, confidence[..., None]], -1), torch.cat([centred, confidence[..., None]], -1), masks, "truth",
    )  # fmt: skip


def touching(body, vertices):
    """Pairs of body regions in contact (2 cm, five vertices)."""
    found = contact_regions(vertices, body.faces, body.regions, body.region_names, ("a", "b"), radius=0.02, min_vertices=5)
    return {(c.a, c.region_a, c.region_b) for c in found}


def network_alone(options):
    """One table row for the families of a bank, and one for its frames of motion: eight seeded rough estimates of each pair."""
    body, bank, prior = load_body(), read_bank(options.bank), read_prior(options.prior) if options.prior else load_prior()
    moving = bank.from_sources(tuple(n for n in bank.source_names if n.startswith("motion")))
    print("| pairs | n | limbs hidden | estimates [mm] | after the network [mm] | without guidance [mm] |\n|---|---|---|---|---|---|")
    for name, part in (("interactions", bank.take(~moving)), ("motion", bank.take(moving))):
        for hidden in (0.25, 0.0) if len(part) else ():
            config = PriorTraining(rough=RoughConfig(hidden=hidden))
            v = validate_prior(prior, PoseBank.join([part] * 8), body, config=config, most=8 * len(part))
            print(f"| {name} | {len(part)} | {hidden:.0%} | {v.rough_mm:.0f} | {v.restored_mm:.0f} | {v.unguided_mm:.0f} |")


def main() -> None:
    """Print one table row per setting and variant, and write all numbers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--prior", type=Path, default=None)
    parser.add_argument("--variants", default='{"without": {}, "with": {"weight_prior": 0.3}}')
    parser.add_argument("--settings", default="true,hidden")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--network", action="store_true")
    options = parser.parse_args()
    if options.network:
        network_alone(options)
        return
    body, bank = load_body(), read_bank(options.bank)
    variants = json.loads(options.variants)
    wanted = [c for c in variants.values() if c.get("weight_prior")]
    prior = None if not wanted else read_prior(options.prior) if options.prior else load_prior()
    firsts = [int((bank.group == g).nonzero()[0, 0]) for g in bank.group.unique()]
    rows = []
    for index in firsts[options.first : options.first + options.pairs]:
        params = bank.params(torch.tensor([index]))
        generator = torch.Generator().manual_seed(900 + index)
        azimuth, elevation = 360 * float(torch.rand((), generator=generator)), -5 + 25 * float(torch.rand((), generator=generator))
        with torch.no_grad():
            truth = body(params)
            camera = place_camera(CameraSpec(azimuth, elevation, 0.0, 45.0, 0.85, WIDTH, HEIGHT, 0.0), truth.vertices.flatten(0, 1))
        photo = Photo(torch.zeros(HEIGHT, WIDTH, 3), f"pair_{index}", "0" * 64, HEIGHT / 2 / math.tan(math.radians(22.5)), "user")
        contacts = touching(body, truth.vertices)
        for setting in options.settings.split(","):
            g = torch.Generator().manual_seed(index)
            noisy = setting == "hidden"
            people = observe(body, params, camera, g, noise=0.012 if noisy else 0.0, hidden=0.3 if noisy else 0.0)
            for name, changes in variants.items():
                began = time.perf_counter()
                fitted = fit(photo, people, replace(FitConfig(), **changes), body=body, prior=prior)
                seconds = time.perf_counter() - began
                m = body_metrics(
                    fitted.landmarks, truth.landmarks, predicted_vertices=fitted.vertices, true_vertices=truth.vertices, faces=body.faces
                )
                found = touching(body, fitted.vertices)
                recall = len(found & contacts) / len(contacts) if contacts else math.nan
                precision = len(found & contacts) / len(found) if found else math.nan
                source = bank.source_names[int(bank.source[index])]
                row = {"pair": index, "source": source, "setting": setting, "variant": name, "pa": m.pa_mpjpe_mm, "joint_pa": m.joint_pa_mpjpe_mm}
                row |= {"penetration": m.penetration_max_mm, "recall": recall, "precision": precision, "seconds": seconds}
                rows.append(row)
                print(json.dumps({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}), flush=True)
    print(
        "| keypoints | variant | n | PA-MPJPE | joint PA-MPJPE | penetration max | contact recall | precision | s |\n|---|---|---|---|---|---|---|---|---|"
    )
    for setting in options.settings.split(","):
        for name in variants:
            mine = [r for r in rows if r["setting"] == setting and r["variant"] == name]

            def mean(key, mine=mine):
                values = [r[key] for r in mine if not math.isnan(r[key])]
                return statistics.fmean(values) if values else math.nan

            cells = (mean("pa"), mean("joint_pa"), mean("penetration"), mean("recall"), mean("precision"), mean("seconds"))
            print(f"| {setting} | {name} | {len(mine)} | " + " | ".join(f"{c:.1f}" if c > 1 else f"{c:.2f}" for c in cells) + " |")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
