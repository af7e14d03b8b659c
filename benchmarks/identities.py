"""How many different people one seed range holds, clothes and builds (no pictures are made): a table on standard output.

python benchmarks/identities.py --count 5000
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import replace

import torch

from huddle3d.bodies import load_body
from huddle3d.synthesis import draw_person
from huddle3d.synthesis.suites.identities import identity_distances, outfit_key


def main() -> None:
    """Draw, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--bodies", type=int, default=400, help="people whose stature is measured on the body")
    args = parser.parse_args()
    start = time.perf_counter()
    people = [draw_person(torch.Generator().manual_seed(args.first_seed + k), f"person_{k}") for k in range(args.count)]
    drawn = time.perf_counter() - start
    nearest = identity_distances(people)
    keys = Counter(outfit_key(p) for p in people)
    garments = Counter(tuple(sorted(g.kind for g in p.garments)) for p in people)
    print(f"| {args.count} people from seed {args.first_seed} | |\n|---|---|")
    print(f"| seconds to draw | {drawn:.1f} |")
    print(f"| distance to the nearest other person: least, 1 %, median | {nearest.min():.2f}, {nearest.quantile(0.01):.2f}, {nearest.median():.2f} |")
    print(f"| people whose nearest is under 0.5 | {int((nearest < 0.5).sum())} |")
    print(f"| different outfits (kinds, cuts, patterns, hair), commonest | {len(keys)}, {keys.most_common(1)[0][1]} people |")
    print("| sets of garments | " + ", ".join(f"{' + '.join(k)} {v}" for k, v in garments.most_common()) + " |")
    worn = [g for p in people for g in p.garments]
    hoods = Counter(g.hood for g in worn)
    coats = [g for g in worn if g.kind == "coat" and g.offset_m > 0.01]
    dresses = sum(g.kind == "coat" for g in worn) - len(coats)
    print(
        f"| coats: open, closed; dresses; hoods down, up | {sum(g.open_m > 0 for g in coats)}, {sum(g.open_m == 0 for g in coats)}; {dresses}; {hoods['down']}, {hoods['up']} |"
    )
    body = load_body()
    chosen = people[:: max(1, len(people) // args.bodies)]
    tall = {True: [], False: []}
    for p in chosen:
        y = body(replace(body.neutral(1), shape=torch.tensor([p.shape]))).vertices[0, :, 1]
        tall[p.shape[0] > 0.5].append(float(y.max() - y.min()))
    for woman, name in ((True, "women"), (False, "men")):
        t = torch.tensor(tall[woman])
        print(f"| stature of {len(t)} {name}: 5 %, median, 95 % [m] | {t.quantile(0.05):.2f}, {t.median():.2f}, {t.quantile(0.95):.2f} |")
    for k, name in ((1, "age"), (3, "weight")):
        v = torch.tensor([p.shape[k] for p in people])
        print(
            f"| {name} (shape parameter): least, 5 %, median, 95 %, most | {', '.join(f'{float(x):.2f}' for x in (v.min(), v.quantile(0.05), v.median(), v.quantile(0.95), v.max()))} |"
        )
    print(f"| teenagers (age parameter under 0.64) | {sum(p.shape[1] < 0.64 for p in people)} |")


if __name__ == "__main__":
    main()
