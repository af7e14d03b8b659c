"""How fast is the training of the view completion fed, and how fast is it? CPU seconds of each part of a sample, sets per second of the trainer.

OMP_NUM_THREADS=1 HUDDLE3D_THREADS=1 python benchmarks/train_mvd.py --index 1 --photos 2 --steps 4 [--device cuda]

A set is six views in two domains, of a group or of one person: 12 pictures of 64². Times of making are of the process's own CPU clock, because machines are
shared; rendering is what photographs and true views cost, of all that is spent on a scene number.
"""

import argparse
import collections
import tempfile
import time
from pathlib import Path

import torch

from huddle3d.bodies import load_body
from huddle3d.training.mvd import MvdTraining, make_batch
from huddle3d.training.mvd.batches import draw_photos
from huddle3d.training.mvd.model import ViewDenoiser
from huddle3d.training.mvd.train import _Trainer, denoising_loss
from huddle3d.training.views import SceneConfig, SceneSource, ViewsConfig, harvest, read_view_bank, sample, views_of_index
from huddle3d.training.views.bank import write_shard

PARTS = {"photographs": "photograph", "canonicalise": "canonical stage", "true_views": "true views", "view_maps": "maps", "true_maps": "maps"}


class Clock:
    """CPU seconds of named functions of a module, which are wrapped."""

    def __init__(self) -> None:
        self.spent = collections.Counter()

    def wrap(self, module, name, label):
        """Count what a function of a module costs."""
        inner = getattr(module, name)

        def timed(*args, **options):
            start = time.process_time()
            out = inner(*args, **options)
            if label == "photograph":
                out = iter(list(out))  # a generator does its work when it is asked
            self.spent[label] += time.process_time() - start
            return out

        setattr(module, name, timed)


def making(index, photos, neighbours, assets, folder):
    """Make one scene number and tell where the time went."""
    body, clock = load_body(), Clock()
    config = ViewsConfig(photos, SceneConfig(neighbours=neighbours, assets=assets))
    for name, label in PARTS.items():
        clock.wrap(sample, name, label)
    prior = sample.BodyPrior

    class TimedPrior(prior):
        def __call__(self, *args, **options):
            start = time.process_time()
            out = super().__call__(*args, **options)
            clock.spent["body-prior"] += time.process_time() - start
            return out

    sample.BodyPrior = TimedPrior
    clock.wrap(harvest, "prepare_scene", "prepare scene")
    source = SceneSource(config.scenes, body)
    start = time.process_time()
    samples, records = views_of_index(index, config, source, body)
    total = time.process_time() - start
    clock.spent["poses and clothes"] = total - sum(clock.spent.values())
    write_shard(Path(folder) / "000000.safetensors", samples, records, {})
    write_shard(Path(folder) / "000001.safetensors", samples, records, {})
    print(
        f"scene number {index} ({records[0].family}): {len(records)} sets from {len(samples)} photographs, {total:.1f} CPU s, {len(records) / total:.2f} sets/s"
    )
    print("| part | CPU s a photograph | share |\n|---|---|---|")
    for label, seconds in clock.spent.most_common():
        print(f"| {label} | {seconds / len(samples):.2f} | {100 * seconds / total:.0f} % |")
    rendering = clock.spent["photograph"] + clock.spent["true views"]
    print(f"rendering: {100 * rendering / total:.0f} % of all")


def learning(folder, steps, device):
    """Steps of the embedded network on what was made."""
    config, bank = MvdTraining(), read_view_bank(folder)
    trainer = _Trainer(bank, config, torch.device(device))
    print(f"{sum(p.numel() for p in ViewDenoiser(config.network).parameters()) / 1e6:.2f} million numbers, {config.sets} sets a step, {device}")
    trainer.learn(0.0)
    read = compute = 0.0
    for step in range(steps):
        start = time.perf_counter()
        generator = torch.Generator().manual_seed(step)
        batch = make_batch(bank, draw_photos(bank, config, generator, masked=True), config, generator).to(trainer.device)
        middle = time.perf_counter()
        trainer.advance(lambda m, b=batch, g=generator: denoising_loss(m, b, config, g, trainer.schedule), 1e-4)
        if trainer.device.type == "cuda":
            torch.cuda.synchronize()
        read, compute = read + middle - start, compute + time.perf_counter() - middle
    print(
        f"training: {steps * config.sets / (read + compute):.2f} sets/s; reading and changing batches {100 * read / (read + compute):.0f} % of the time"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", type=int, default=1)
    parser.add_argument("--photos", type=int, default=2)
    parser.add_argument("--neighbours", type=int, default=1)
    parser.add_argument("--assets", default="")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        making(args.index, args.photos, args.neighbours, args.assets, place)
        learning(place, args.steps, args.device)
