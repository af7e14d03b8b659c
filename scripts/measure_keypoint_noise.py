"""Measure how the embedded backend's key points differ from the truth, and write the table that ``huddle3d eval fit`` draws its noise from.

    python scripts/measure_keypoint_noise.py collect --output FOLDER --scenes 56      # resumable: one folder per scene
    python scripts/measure_keypoint_noise.py table --output FOLDER                    # -> src/huddle3d/perception/data/keypoint_noise.json

The scenes are two-person pictures of all families, in turn, from seeds that no suite and no table uses (7 000 000 and up).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import torch

FIRST_SEED = 7_000_000
TARGET = Path(__file__).parents[1] / "src/huddle3d/perception/data/keypoint_noise.json"
QUANTILES = np.linspace(0, 1, 11)
ABOUT = (
    "Errors of the embedded perception against the truth of synthetic pictures, made by scripts/measure_keypoint_noise.py. error_m: distance in the "
    "picture in metres at the person's depth, after an exchange of left and right is undone; confidence: of points that are given; error3d_m: of the "
    "hip-centred 3D landmarks after the best rotation and scale of the person; all as 11 quantiles from 0 to 1. seen, hidden: in the true picture. "
    "offsets_m: where points are marked on everybody (up the trunk, outwards, forwards); leans: slope and offset [deg] of the told angles between "
    "bones and the picture's plane against the true ones. Both are taken out before the errors are measured."
)


def collect(folder: Path, scenes: int) -> None:
    """Render each scene, run the embedded perception on it, and keep both sets of key points."""
    from huddle3d.bodies import load_body
    from huddle3d.errors import StageError
    from huddle3d.perception import perceive
    from huddle3d.synthesis import build_scene, families_for, render_scene, sample_spec

    body = load_body()
    families = families_for(2)
    for k in range(scenes):
        spec = sample_spec(FIRST_SEED + k, family=families[k % len(families)])
        place = folder / f"{spec.family}_{spec.seed}"
        if (place / "done").is_file():
            continue
        place.mkdir(parents=True, exist_ok=True)
        sample = render_scene(build_scene(spec, body=body))
        sample.scene.bodies.save(place / "bodies")
        sample.people2d.save(place / "truth")
        (place / "photo.jpg").write_bytes(sample.jpeg)
        try:
            perceive(sample.photo).save(place / "found")
        except StageError as error:
            print(f"{place.name}: {error}")
        (place / "done").touch()
        print(place.name, flush=True)


@dataclass
class Tally:
    """Everything that the table is made from."""

    scenes: int = 0
    people: int = 0
    found: int = 0
    invented: int = 0
    swaps: dict[str, int] = field(default_factory=lambda: {"all": 0, "arms": 0, "legs": 0})
    sides: int = 0
    """Arms and legs that could have been exchanged."""
    rows: list[tuple[int, int, str, str, float, float, float, float, float]] = field(default_factory=list)
    """Person, landmark, kind, state, error [m], angle [rad], confidence, 3D error [m], 3D confidence."""
    turns: list[float] = field(default_factory=list)
    directions3d: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    """Unit 3D errors by person and landmark."""
    offsets: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    leans: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Match:
    """A person that was found: found and true key points and 3D landmarks, and pixels per metre."""

    p: np.ndarray
    t: np.ndarray
    p3: np.ndarray
    t3: np.ndarray
    scale: float


def measure(folder: Path) -> Tally:
    """Compare every collected scene."""
    from scipy.optimize import linear_sum_assignment

    from huddle3d.evaluation import pixels_per_metre
    from huddle3d.scene import Bodies, People2D

    tally, matches = Tally(), []
    for place in sorted(p for p in folder.iterdir() if (p / "done").is_file()):
        truth, bodies = People2D.load(place / "truth"), Bodies.load(place / "bodies")
        tally.scenes += 1
        tally.people += len(truth.names)
        if not (place / "found.json").is_file():
            continue
        found = People2D.load(place / "found")
        scale = pixels_per_metre(bodies.landmarks, bodies.camera)
        distance = (found.keypoints[:, None, :17, :2] - truth.keypoints[None, :, :17, :2]).norm(dim=-1).mean(-1) / scale[None]
        rows, columns = linear_sum_assignment(distance.numpy())
        kept = [(i, j) for i, j in zip(rows, columns) if distance[i, j] < 0.5]
        tally.found += len(kept)
        tally.invented += len(found.names) - len(kept)
        matches += [_matched(tally, found, truth, i, j, float(scale[j])) for i, j in kept]
    tally.offsets, tally.leans = _offsets(matches), _leans(matches)
    for match in matches:
        _person(tally, match)
    return tally


def _matched(tally: Tally, found, truth, i: int, j: int, scale: float) -> Match:
    """With an exchange of left and right undone, and counted."""
    from huddle3d.perception.keypoint_noise import LIMBS
    from huddle3d.scene.landmarks import LANDMARKS, MIRROR

    p, t = found.keypoints[i].double().numpy(), truth.keypoints[j].double().numpy()
    p3, t3 = found.landmarks3d[i].double().numpy(), truth.landmarks3d[j].double().numpy()
    twin = np.array(MIRROR)
    core = {"arm": [7, 8, 9, 10], "leg": [13, 14, 15, 16]}
    exchanged = []
    for limb, rows in core.items():
        own = np.linalg.norm(p[rows, :2] - t[rows, :2], axis=1).mean()
        other = np.linalg.norm(p[rows, :2] - t[twin[rows], :2], axis=1).mean()
        apart = np.linalg.norm(t[rows, :2] - t[twin[rows], :2], axis=1).mean()
        if other < 0.5 * own and apart > 0.1 * scale:
            exchanged.append(limb)
    order = np.arange(len(LANDMARKS))
    if len(exchanged) == 2:
        order, tally.swaps["all"] = twin, tally.swaps["all"] + 1
    elif exchanged:
        tally.swaps[f"{exchanged[0]}s"] += 1
        limb_rows = [k for k, name in enumerate(LIMBS) if name.endswith(exchanged[0])]
        order[limb_rows] = twin[limb_rows]
    return Match(p, t[order], p3, t3[order], scale)


def _offsets(matches: list[Match]) -> dict[str, tuple[float, float, float]]:
    """Least squares per kind of point, on sure points that are not far off (a missed point says nothing about where it is marked)."""
    from huddle3d.perception._posture import outwards, trunk_axes
    from huddle3d.perception.keypoint_noise import HIDDEN, point_kind
    from huddle3d.scene.landmarks import LANDMARKS

    side = outwards().numpy()
    rows: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for m in matches:
        axes = trunk_axes(torch.from_numpy(m.t3[None, :, :3]))[0].numpy()
        for k, name in enumerate(LANDMARKS[:23]):
            delta = (m.p[k, :2] - m.t[k, :2]) / m.scale
            if m.t[k, 2] > 0 and m.p[k, 2] > HIDDEN and np.hypot(*delta) < 0.15:
                rows.setdefault(point_kind(name), []).append(((axes * np.array([1, side[k], 1])[:, None])[:, :2].T, delta))
    found = {}
    for kind, some in rows.items():
        a, b = np.concatenate([r[0] for r in some]), np.concatenate([r[1] for r in some])
        solved = np.linalg.solve(a.T @ a + 0.05 * len(a) * np.eye(3), a.T @ b)  # weakly held to no offset: forwards is seldom seen
        found[kind] = tuple(round(float(v), 4) for v in solved)
    return found


def _leans(matches: list[Match]) -> dict[str, tuple[float, float]]:
    """Lines of told against true angles, of bones whose ends are sure."""
    from huddle3d.perception._posture import lean_of

    told, true = (lean_of(torch.from_numpy(np.stack(points)[..., :3])) for points in ([m.p3 for m in matches], [m.t3 for m in matches]))
    found = {}
    for kind in told:
        x, y = true[kind].numpy(), told[kind].numpy()
        far = {"trunk": (5, 6), "neck": (3, 4), "upper_arm": (7, 8), "forearm": (9, 10), "thigh": (13, 14), "shin": (15, 16), "foot": (17, 20)}[kind]
        sure = np.stack([[m.p3[k, 3] > 0.5 and m.t[k, 2] > 0.5 for k in far[-x.shape[1] :]] for m in matches])
        keep = sure & (np.abs(x) < 70)
        slope, offset = np.polyfit(x[keep], y[keep], 1)
        found[kind] = (round(float(slope), 3), round(float(offset), 2))
        print(f"{kind:10} n={keep.sum()} told = {slope:.2f} true + {offset:.1f}, rest {np.std(y[keep] - slope * x[keep] - offset):.1f} deg")
    return found


def _person(tally: Tally, match: Match) -> None:
    from huddle3d.perception._posture import leaned, outwards, trunk_axes
    from huddle3d.perception.keypoint_noise import HIDDEN, point_kind
    from huddle3d.scene.landmarks import LANDMARKS

    p, t, p3, t3, scale = match.p, match.t, match.p3, match.t3.copy(), match.scale
    told = np.array([tally.offsets.get(point_kind(name), (0.0, 0.0, 0.0)) for name in LANDMARKS])
    told[:, 1] *= outwards().numpy()
    true3 = torch.from_numpy(t3[None, :, :3])
    marks = told @ trunk_axes(true3)[0].numpy()
    t3[:, :3] = leaned(true3 + torch.from_numpy(marks)[None], tally.leans)[0].numpy()
    sure = [k for k in range(17) if p3[k, 3] > 0]
    R = _rotation(t3[sure, :3], p3[sure, :3])
    angle = np.degrees(np.arccos(np.clip((np.trace(R) - 1) / 2, -1, 1)))
    tally.turns.append(float(angle))
    turned = t3[:, :3] @ R.T
    # The networks answer for a person of usual size; the fit uses directions, so that one scale is no error.
    size = (p3[sure, :3] * turned[sure]).sum() / (p3[sure, :3] ** 2).sum()
    delta3d = size * p3[:, :3] - turned
    error3d = np.linalg.norm(delta3d, axis=1)
    tally.directions3d |= {(len(tally.turns), k): delta3d[k] / max(error3d[k], 1e-9) for k in range(23) if p3[k, 3] > 0}
    for k, name in enumerate(LANDMARKS):
        if t[k, 2] <= 0:
            continue
        delta = (p[k, :2] - t[k, :2]) / scale - marks[k, :2]
        state = "seen" if t[k, 2] > HIDDEN else "hidden"
        row = (len(tally.turns), k, point_kind(name), state, np.hypot(*delta), np.arctan2(delta[1], delta[0]), p[k, 2], error3d[k], p3[k, 3])
        tally.rows.append(row)


def _rotation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The rotation R that brings a onto b best (Kabsch), both hip-centred."""
    u, _, vt = np.linalg.svd(b.T @ a)
    return u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt


def _quantiles(values: list[float], digits: int) -> list[float]:
    return [round(float(v), digits) for v in np.quantile(values, QUANTILES)] if values else []


def _mean_cosine(tally: Tally) -> float:
    """Between the 3D errors of two points of one limb."""
    from huddle3d.perception.keypoint_noise import LIMBS

    d = tally.directions3d
    found = [float(d[i, a] @ d[i, b]) for i, a in d for b in range(a + 1, 23) if LIMBS[a] == LIMBS[b] and (i, b) in d]
    return float(np.clip(np.mean(found), 0.0, 0.99))


def table(tally: Tally) -> dict:
    """The document of the package."""
    from scipy.stats import norm, rankdata

    from huddle3d.people import versions
    from huddle3d.perception.keypoint_noise import LIMBS

    kinds = list(dict.fromkeys(r[2] for r in tally.rows))
    rows: dict[str, dict] = {}
    scores: dict[tuple[int, int], tuple[float, float]] = {}
    pairs: list[tuple[float, float]] = []
    for kind in kinds:
        for state in ("seen", "hidden"):
            some = [r for r in tally.rows if r[2] == kind and r[3] == state]
            some = some or [r for r in tally.rows if r[2] == kind]
            given = [r for r in some if r[6] > 0]
            three = [r for r in given if r[8] > 0]
            rows.setdefault(kind, {})[state] = {
                "count": len(some),
                "drop": round(1 - len(given) / len(some), 4),
                "error_m": _quantiles([r[4] for r in given], 4) or [0.0] * 11,
                "confidence": _quantiles([r[6] for r in given], 3) or [0.0] * 11,
                "error3d_m": _quantiles([r[7] for r in three], 4),
                "confidence3d": _quantiles([r[8] for r in three], 3),
            }
            if kind not in ("hand", "face") and len(given) > 4:
                z = norm.ppf((rankdata([r[4] for r in given]) - 0.5) / len(given))
                c = norm.ppf((rankdata([r[6] for r in given]) - 0.5) / len(given))
                pairs += list(zip(z, c))
                scores |= {(r[0], r[1]): (float(v), r[5]) for r, v in zip(given, z)}
    within = [
        (scores[person, a], scores[person, b])
        for person in range(1, len(tally.turns) + 1)
        for a in range(23)
        for b in range(a + 1, 23)
        if LIMBS[a] == LIMBS[b] and (person, a) in scores and (person, b) in scores
    ]
    count = max(1, len(tally.turns))
    return {
        "about": ABOUT,
        "rows": rows,
        "swaps": {k: round(v / count, 4) for k, v in tally.swaps.items()},
        "limb_correlation": round(float(np.clip(np.mean([a[0] * b[0] for a, b in within]), 0, 0.99)), 3),
        "limb_direction": round(float(np.clip(np.mean([np.cos(a[1] - b[1]) for a, b in within]), 0.01, 0.99)), 3),
        "limb_direction3d": round(_mean_cosine(tally), 3),
        "confidence_correlation": round(float(np.mean([a * b for a, b in pairs])), 3),
        "turn_deg": _quantiles(tally.turns, 2),
        "offsets_m": tally.offsets,
        "leans": tally.leans,
        "source": {
            "scenes": tally.scenes,
            "first_seed": FIRST_SEED,
            "people": tally.people,
            "people_found": tally.found,
            "people_invented": tally.invented,
            "date": date.today().isoformat(),
            "versions": {k: v for k, v in versions().items() if k in ("huddle3d", "torch", "ai-edge-litert")},
        },
    }


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("collect", "table"))
    parser.add_argument("--output", type=Path, required=True, help="folder of the collected scenes")
    parser.add_argument("--scenes", type=int, default=56)
    arguments = parser.parse_args()
    if arguments.step == "collect":
        collect(arguments.output, arguments.scenes)
        return
    with torch.no_grad():
        document = table(measure(arguments.output))
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print({k: v for k, v in document.items() if k not in ("rows", "about")})
    for kind, states in document["rows"].items():
        for state, row in states.items():
            print(
                f"{kind:10} {state:6} n={row['count']:4} drop={row['drop']:.3f} error p50/p90 = {row['error_m'][5]:.3f} / {row['error_m'][9]:.3f} m",
                end="",
            )
            print(
                f"  confidence p10/p50 = {row['confidence'][1]:.2f} / {row['confidence'][5]:.2f}",
                f"3D p50 {row['error3d_m'][5] if row['error3d_m'] else None}",
            )


if __name__ == "__main__":
    main()
