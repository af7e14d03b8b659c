"""CodeFormer (Zhou et al., NeurIPS 2022): a face, with a hole or damaged → codes of a codebook of faces → the face.

Our own network in the layout of the published checkpoints (``codeformer_inpainting.pth``: codebook of 512, features passed on at 32, 64 and 128 px), so that a
user's file can be loaded. The weights are under the S-Lab licence (not for commercial use) and are neither shipped nor fetched.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["CodeFormer", "CodeFormerConfig", "codeformer_config", "codeformer_shapes"]


@dataclass(frozen=True)
class CodeFormerConfig:
    """Sizes; the defaults are those of the published inpainting network."""

    size: int = 512
    """Side of the aligned face [px]."""
    width: int = 64
    """Channels at full resolution."""
    multiples: tuple[int, ...] = (1, 2, 2, 4, 4, 8)
    """Channels at full, half, quarter … resolution, in units of ``width``."""
    blocks: int = 2
    """Residual blocks at each resolution."""
    attention_at: int = 16
    """Resolution whose blocks are followed by attention [px]."""
    latent: int = 256
    """Length of a code."""
    codebook: int = 512
    """Codes."""
    dim: int = 512
    """Width of the transformer."""
    heads: int = 8
    layers: int = 9
    connect: tuple[int, ...] = (32, 64, 128)
    """Resolutions at which the encoder's features are passed to the decoder [px]; not the one with attention."""
    groups: int = 32
    """Of the group norms."""

    @property
    def grid(self) -> int:
        """Side of the grid of codes."""
        return self.size // 2 ** (len(self.multiples) - 1)


def _norm(channels: int, groups: int) -> nn.GroupNorm:
    return nn.GroupNorm(groups, channels, eps=1e-6)


class _ResBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = _norm(inputs, groups), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2, self.conv2 = _norm(outputs, groups), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_out = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(nn.functional.silu(self.norm1(x)))
        y = self.conv2(nn.functional.silu(self.norm2(y)))
        return y + (x if self.conv_out is None else self.conv_out(x))


class _Attention(nn.Module):
    """Attention over all places, one head."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = _norm(channels, groups)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        q, k, v = (f(y).flatten(2).transpose(1, 2)[:, None] for f in (self.q, self.k, self.v))
        found = nn.functional.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2).reshape(x.shape)
        return x + self.proj_out(found)


class _Halve(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(nn.functional.pad(x, (0, 1, 0, 1)))


class _Double(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(nn.functional.interpolate(x, scale_factor=2.0, mode="nearest"))


def _encoder(c: CodeFormerConfig) -> tuple[nn.ModuleList, dict[int, int]]:
    """Blocks in the published order, and for each resolution the block after which its features are taken: the last one there."""
    blocks: list[nn.Module] = [nn.Conv2d(3, c.width, 3, padding=1)]
    taken: dict[int, int] = {}
    channels, size = c.width, c.size
    for level, multiple in enumerate(c.multiples):
        for _ in range(c.blocks):
            blocks.append(_ResBlock(channels, multiple * c.width, c.groups))
            channels = multiple * c.width
            if size == c.attention_at:
                blocks.append(_Attention(channels, c.groups))
        taken[size] = len(blocks) - 1
        if level < len(c.multiples) - 1:
            blocks.append(_Halve(channels))
            size //= 2
    blocks += [_ResBlock(channels, channels, c.groups), _Attention(channels, c.groups), _ResBlock(channels, channels, c.groups)]
    blocks += [_norm(channels, c.groups), nn.Conv2d(channels, c.latent, 3, padding=1)]
    return nn.ModuleList(blocks), taken


def _generator(c: CodeFormerConfig) -> tuple[nn.ModuleList, dict[int, int]]:
    """The decoder likewise; features enter after the first block of a resolution."""
    channels, size = c.multiples[-1] * c.width, c.grid
    blocks: list[nn.Module] = [nn.Conv2d(c.latent, channels, 3, padding=1)]
    blocks += [_ResBlock(channels, channels, c.groups), _Attention(channels, c.groups), _ResBlock(channels, channels, c.groups)]
    entered: dict[int, int] = {}
    for level in reversed(range(len(c.multiples))):
        for _ in range(c.blocks):
            blocks.append(_ResBlock(channels, c.multiples[level] * c.width, c.groups))
            channels = c.multiples[level] * c.width
            if size == c.attention_at:
                blocks.append(_Attention(channels, c.groups))
            entered.setdefault(size, len(blocks) - 1)
        if level:
            blocks.append(_Double(channels))
            size *= 2
    blocks += [_norm(channels, c.groups), nn.Conv2d(channels, 3, 3, padding=1)]
    return nn.ModuleList(blocks), entered


class _Layer(nn.Module):
    """Self-attention and feed-forward, norms first; places are told to queries and keys."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(dim, heads)
        self.linear1, self.linear2 = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)

    def forward(self, x: Tensor, place: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.self_attn(y + place, y + place, y, need_weights=False)[0]
        return x + self.linear2(nn.functional.gelu(self.linear1(self.norm2(x))))


class _Fuse(nn.Module):
    """The decoder's features, scaled and shifted by what the encoder saw."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.encode_enc = _ResBlock(2 * channels, channels, groups)

        def pair() -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(channels, channels, 3, padding=1))

        self.scale, self.shift = pair(), pair()

    def forward(self, seen: Tensor, made: Tensor, weight: float) -> Tensor:
        both = self.encode_enc(torch.cat([seen, made], 1))
        return made + weight * (made * self.scale(both) + self.shift(both))


class _Quantize(nn.Module):
    def __init__(self, codes: int, length: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(codes, length)


class _Blocks(nn.Module):
    def __init__(self, blocks: nn.ModuleList) -> None:
        super().__init__()
        self.blocks = blocks


class CodeFormer(nn.Module):
    """Restores a face of an aligned crop. Without adaptive instance normalisation, as the inpainting network is used."""

    def __init__(self, config: CodeFormerConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or CodeFormerConfig()
        encoder, self._taken = _encoder(c)
        generator, self._entered = _generator(c)
        self.encoder, self.generator, self.quantize = _Blocks(encoder), _Blocks(generator), _Quantize(c.codebook, c.latent)
        self.position_emb = nn.Parameter(torch.zeros(c.grid**2, c.dim))
        self.feat_emb = nn.Linear(c.latent, c.dim)
        self.ft_layers = nn.ModuleList(_Layer(c.dim, c.heads) for _ in range(c.layers))
        self.idx_pred_layer = nn.Sequential(nn.LayerNorm(c.dim), nn.Linear(c.dim, c.codebook, bias=False))
        channels = {c.size // 2**level: multiple * c.width for level, multiple in enumerate(c.multiples)}
        self.fuse_convs_dict = nn.ModuleDict({str(size): _Fuse(channels[size], c.groups) for size in c.connect})

    def forward(self, face: Float[Tensor, "B 3 S S"], *, weight: float = 1.0) -> Float[Tensor, "B 3 S S"]:
        """The restored face, about [-1, 1].

        Args:
            face: aligned crop in [-1, 1]; what is missing is 1 in all channels (white).
            weight: of what the encoder saw (the paper's w): 0 = the codebook alone.
        """
        passed, features = {at: size for size, at in self._taken.items() if size in self.config.connect}, {}
        x = face
        for i, block in enumerate(self.encoder.blocks):
            x = block(x)
            if i in passed:
                features[passed[i]] = x
        x = self._decoded(x)
        enters = {self._entered[size]: size for size in self.config.connect}
        for i, block in enumerate(self.generator.blocks):
            x = block(x)
            if i in enters and weight > 0:
                x = self.fuse_convs_dict[str(enters[i])](features[enters[i]], x, weight)
        return x

    def _decoded(self, x: Float[Tensor, "B C g g"]) -> Float[Tensor, "B C g g"]:
        """Each place's most probable code."""
        place = self.position_emb[:, None].expand(-1, len(x), -1)
        tokens = self.feat_emb(x.flatten(2).permute(2, 0, 1))
        for layer in self.ft_layers:
            tokens = layer(tokens, place)
        codes = self.idx_pred_layer(tokens).argmax(-1)  # places, batch
        return self.quantize.embedding(codes).permute(1, 2, 0).reshape(len(x), -1, self.config.grid, self.config.grid)


def codeformer_shapes(config: CodeFormerConfig | None = None) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a checkpoint."""
    with torch.device("meta"):
        return {k: tuple(v.shape) for k, v in CodeFormer(config).state_dict().items()}


def codeformer_config(shapes: dict[str, tuple[int, ...]]) -> CodeFormerConfig:
    """The config of a state by its shapes: sizes that the published networks differ in, everything else as published.

    Raises:
        ValueError: not such a state.
    """
    try:
        width, latent = shapes["encoder.blocks.0.weight"][0], shapes["quantize.embedding.weight"][1]
        codebook, dim = shapes["idx_pred_layer.1.weight"]
        grid = round(shapes["position_emb"][0] ** 0.5)
    except KeyError as e:
        raise ValueError(f"it has no {e.args[0]}") from e
    layers = len({k.split(".")[1] for k in shapes if k.startswith("ft_layers.")})
    connect = tuple(sorted({int(k.split(".")[1]) for k in shapes if k.startswith("fuse_convs_dict.")}))
    c = CodeFormerConfig()
    size = grid * 2 ** (len(c.multiples) - 1)
    groups, heads = min(c.groups, width), min(c.heads, max(1, dim // 64))
    found = CodeFormerConfig(size, width, c.multiples, c.blocks, grid, latent, codebook, dim, heads, layers, connect, groups)
    if codeformer_shapes(found) != dict(shapes):
        raise ValueError("its names or shapes are those of another network")
    return found
