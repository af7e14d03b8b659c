"""The tables of results/suites-cpu.md from the numbers of `huddle3d eval people --suite NAME --json FILE`.

    python benchmarks/suites.py heldout.json salsa.json crowd.json hard.json > tables.md

A suite may be in several files, for example one for each kind of bodies.

One table of all suites (medians with 95 % bootstrap intervals), one of their classes, one of the interaction levels, and one row a scene of each suite.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

COLUMNS = {
    "cd_cm": ("CD [cm]", 2), "p2s_cm": ("P2S [cm]", 2), "nc": ("NC", 3), "f1cm": ("F@1cm [%]", 1), "bbox_iou": ("IoU", 3), "cp": ("CP", 3),
    "psnr": ("PSNR [dB]", 2), "ssim": ("SSIM", 3), "lpips": ("LPIPS", 3), "occ_psnr": ("Occ. PSNR [dB]", 2), "normal_l2": ("Normal L2", 3), "unseen_cd_cm": ("unseen CD [cm]", 2),
    "penetration_mm": ("pen. max [mm]", 2), "contact_recall": ("contact recall", 2), "joint_pa_mpjpe_mm": ("joint PA-MPJPE [mm]", 0),
}  # fmt: skip
PROTOCOLS = ("true", "predicted")


def cell(value: float | None, digits: int) -> str:
    """A number, or a dash."""
    return "–" if value is None else f"{value:z.{digits}f}"


def print_table(head: list[str], rows: list[list[str]]) -> None:
    """Markdown."""
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def found(tree: dict[str, Any], protocol: str) -> str:
    """People found of all people, in scenes with a result."""
    measured = [s["metrics"] for s in tree["scenes"] if s["protocol"] == protocol and s.get("metrics")]
    total = sum(m["people_true"] for m in measured)
    return f"{total - sum(len(m['missed']) for m in measured)}/{total}"


def scenes_of(tree: dict[str, Any], protocol: str) -> str:
    """Scenes with a result of all scenes."""
    rows = [s for s in tree["scenes"] if s["protocol"] == protocol]
    return f"{sum(not s['failure'] for s in rows)}/{len(rows)}"


def whole(trees: list[dict[str, Any]]) -> None:
    """All suites."""
    rows = []
    for tree in trees:
        for protocol in (p for p in PROTOCOLS if p in tree["median"]):
            cells = []
            for key, (_, digits) in COLUMNS.items():
                spread = tree["interval"][protocol].get(key)
                text = cell(tree["median"][protocol].get(key), digits)
                cells.append(text + (f" [{spread['low']:z.{digits}f}, {spread['high']:z.{digits}f}]" if spread else ""))
            rows.append([tree["suite"], protocol, scenes_of(tree, protocol), found(tree, protocol), *cells])
    print_table(["suite", "bodies", "scenes", "people found in them", *(h for h, _ in COLUMNS.values())], rows)


def groups(trees: list[dict[str, Any]], key: str, word: str) -> None:
    """Medians by class or by interaction level."""
    rows = []
    for tree in trees:
        for protocol in PROTOCOLS:
            for name, entry in tree[key].get(protocol, {}).items():
                values = entry.get("median", entry)
                count = entry.get("scenes", entry.get("count"))
                rows.append([tree["suite"], name, protocol, str(count), *(cell(values.get(k), d) for k, (_, d) in COLUMNS.items())])
    print_table(["suite", word, "bodies", "scenes", *(h for h, _ in COLUMNS.values())], rows)


def each(scenes: list[dict[str, Any]]) -> None:
    """One row a scene."""
    rows = []
    for s in scenes:
        tail = (
            ["failed: " + s["failure"]]
            if s["failure"]
            else [*(cell(s.get(k), d) for k, (_, d) in COLUMNS.items()), f"{s['seconds']:.0f}", f"{s['peak_mb']:.0f}"]
        )
        rows.append([s["scene"], s["protocol"], *tail])
    print_table(["scene", "bodies", *(h for h, _ in COLUMNS.values()), "s", "MiB"], rows)


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="JSON files of suites")
    options = parser.parse_args()
    trees = [json.loads(path.read_text(encoding="utf-8")) for path in options.files]
    print("## All suites\n")
    whole(trees)
    print("## By class\n")
    groups(trees, "by_family", "class")
    print("## By interaction level of the truth\n")
    groups(trees, "by_level", "level")
    for suite in dict.fromkeys(tree["suite"] for tree in trees):
        print(f"## {suite}, scene by scene\n")
        each([scene for tree in trees if tree["suite"] == suite for scene in tree["scenes"]])


if __name__ == "__main__":
    main()
