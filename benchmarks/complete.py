"""Multi-view diffusion of a group and its people: seconds, TFLOP/s and peak memory, with random weights (time and memory do not depend on them).

    python benchmarks/complete.py --size embedded-64 --people 2 --steps 12 --threads 2
    python benchmarks/complete.py --size foundation --people 2 --steps 40 --device cuda [--control]

Embedded sizes: the network, and the upsampling to the views' 512². Foundation size: encoder, denoiser and decoder at 768²; ``--control`` adds a ControlNet of
Stable Diffusion 2.1's size. CLIP's encoders run once per photograph and are left out, as is the baseline ``body-prior`` (``benchmarks/results/people-cpu.md``).
Operations are counted by torch (multiplications and additions of convolutions, linear layers and attention), not estimated.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from huddle3d.compute import measure
from huddle3d.diffusion.multiview import (
    FoundationModel,
    MultiViewModel,
    NoiseSchedule,
    PictureConditions,
    PublishedNetworks,
    SamplerConfig,
    ViewInputs,
    Views,
)
from huddle3d.networks import EMBEDDED_64, EMBEDDED_128, PSHUMAN, MultiViewConfig, MultiViewUNet
from huddle3d.people._diffusion_completer import views_of
from huddle3d.people._guided_upsampling import upsample_views

EMBEDDED = {"embedded-64": EMBEDDED_64, "embedded-128": EMBEDDED_128}


def operations(config: MultiViewConfig) -> float:
    """Of one call of the denoiser for one set of six views in two domains."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        x = torch.zeros(1, 2, 6, config.channels, config.size, config.size)
        told = torch.zeros(1, 2, 6, config.condition_channels, config.size, config.size)
        words = 77 if config == PSHUMAN else 13
        MultiViewUNet(config)(x, told, torch.zeros(1, dtype=torch.long), text=torch.zeros(1, 2, 6, words, config.text_width))
    return float(counter.get_total_flops())


def some_inputs(sets: int, side: int, device: str) -> ViewInputs:
    """People as bars; only sizes matter."""
    alpha = torch.zeros(sets, 6, side, side, device=device)
    alpha[..., side // 8 : -side // 8, side // 3 : -side // 3] = 1
    normals = alpha[..., None] * torch.tensor([0.0, 0.0, 1.0], device=device)
    seen = alpha > 0
    seen[:, 2:5] = False
    rgb = torch.rand(sets, 6, side, side, 3, device=device)
    return ViewInputs(normals, rgb * seen[..., None], seen, Views(normals, rgb, alpha))


def embedded(config: MultiViewConfig, people: int, steps: int, device: str, max_gb: float) -> dict[str, float]:
    """One completion with a network of pixels."""
    sets, size = 1 + people, config.size
    torch.manual_seed(0)
    model = MultiViewModel.fresh(config).to(device)
    model.network.eval()
    condition = torch.rand(sets, 2, 6, config.condition_channels, size, size, device=device)
    masks = torch.zeros(people, 6, size, size, device=device)
    inputs = some_inputs(sets, 512, device)
    coarse = Views(*(torch.rand(sets, 6, size, size, *c, device=device) for c in ((3,), (3,), ())))

    def run() -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        return model.generate(condition, masks, [""] * sets, config=SamplerConfig(steps=steps), generator=generator, max_bytes=1e9 * max_gb)

    if device == "cuda":
        run()
    start = time.process_time()
    with measure() as network:
        made = run()
    middle = time.process_time()
    with measure() as upsampling:
        upsample_views(views_of(made), coarse, inputs)
    end = time.process_time()
    found = {"denoiser s": network.seconds, "upsampling s": upsampling.seconds, "peak MiB": peak(network, upsampling)}
    # on a machine that is shared with other work, what the process itself used says more than the clock
    return found if device == "cuda" else found | {"denoiser CPU s": middle - start, "upsampling CPU s": end - middle}


def foundation(people: int, steps: int, device: str, max_gb: float, with_control: bool) -> dict[str, float]:
    """One completion at foundation size, without CLIP."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.controlnets.controlnet import ControlNetModel

    sets, dtype = 1 + people, torch.bfloat16 if device == "cuda" else torch.float32
    torch.manual_seed(0)
    with torch.device(device):
        unet = MultiViewUNet(PSHUMAN).to(dtype, memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=4,
            sample_size=768,
        )
        vae = vae.to(dtype).eval().requires_grad_(False)
        control: Any = None
        if with_control:
            control = ControlNetModel(attention_head_dim=PSHUMAN.heads, cross_attention_dim=PSHUMAN.text_width, use_linear_projection=True)
            control = control.to(dtype).eval().requires_grad_(False)
    nothing: Any = None
    networks = PublishedNetworks(unet, NoiseSchedule(), vae, nothing, nothing, nothing, nothing, NoiseSchedule())

    class WithoutClip(FoundationModel):
        """Text and image vectors are random; everything else is the model's own."""

        def text(self, captions: list[str]) -> torch.Tensor:
            return torch.randn(len(captions), 2, 6, 77, PSHUMAN.text_width, device=device)

        def image_vector(self, fronts: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            return torch.randn(len(fronts), PSHUMAN.class_width, device=device)

    model, inputs = WithoutClip(networks, control), some_inputs(sets, 512, device)
    masks, captions = torch.zeros(people, 6, PSHUMAN.size, PSHUMAN.size, device=device), [""] * sets

    def run(count: int) -> None:
        generator = torch.Generator().manual_seed(0)
        model.generate(inputs, captions, masks, SamplerConfig(steps=count), generator=generator, max_bytes=1e9 * max_gb)

    with torch.no_grad():
        if device == "cuda":
            run(1)
        with measure() as coders:
            told: PictureConditions = model.conditions(inputs, captions, torch.Generator().manual_seed(0))[0]
            model.decode(told.image)
        with measure() as whole:
            run(steps)
    denoiser = whole.seconds - coders.seconds
    return {"denoiser s": denoiser, "encoder and decoder s": coders.seconds, "whole s": whole.seconds, "peak MiB": peak(whole, coders)}


def peak(*parts: Any) -> float:
    """Of the device where there is one, else of the process."""
    return max(p.peak_device_mb or p.peak_mb for p in parts)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=(*EMBEDDED, "foundation"), default="embedded-64")
    parser.add_argument("--people", type=int, default=2)
    parser.add_argument("--steps", type=int, default=0, help="0: 12, at foundation size 40")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--max-memory-gb", type=float, default=0.0, help="for weights, pictures and feature maps; 0: 1.5, at foundation size 12")
    parser.add_argument("--control", action="store_true", help="foundation size: with a ControlNet")
    parser.add_argument("--write", type=Path)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    config = EMBEDDED.get(args.size, PSHUMAN)
    steps = args.steps or (40 if args.size == "foundation" else 12)
    limit = args.max_memory_gb or (12.0 if args.size == "foundation" else 1.5)
    count = operations(config) * (1 + args.people) * steps
    if args.size == "foundation":
        found = foundation(args.people, steps, args.device, limit, args.control)
    else:
        found = embedded(config, args.people, steps, args.device, limit)
    where = torch.cuda.get_device_name() if args.device == "cuda" else f"{platform.machine()}, {torch.get_num_threads()} threads"
    lines = [
        f"{args.size}{' with ControlNet' if args.control else ''}, {args.people} people, {steps} steps, {where}, torch {torch.__version__}, "
        f"{datetime.date.today()}",
        "",
        *(f"- {name}: {value:.2f}" for name, value in found.items()),
        f"- denoiser: {count / 1e12:.2f} TFLOP, {count / 1e12 / found['denoiser s']:.3f} TFLOP/s"
        + (" (ControlNet not counted)" if args.control else ""),
    ]
    print("\n".join(lines))
    if args.write:
        args.write.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
