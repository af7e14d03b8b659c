"""How much memory the multi-view network takes, from its sizes alone: a call is followed tensor by tensor without making any of them.

The network is built and called on PyTorch's ``meta`` device, where tensors have shapes but no memory; what is alive at each moment is added up. Fused
attention counts as what it returns: it keeps no map of all pairs. What operations take for themselves (workspaces, packed weights) is not seen.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from huddle3d.errors import ResourceLimitError
from huddle3d.networks import ControlResiduals, MultiViewConfig, MultiViewUNet

__all__ = ["MARGIN", "SetMemory", "call_bytes", "weight_bytes"]

MARGIN = 2.0
"""Between live feature maps and resident memory. On a CPU with glibc nine embedded sets at once took 273 MB with every large block given back at once (counted: 257), and
380 to 532 MB with the allocator's defaults, which keep freed blocks for later."""


class _Alive(TorchDispatchMode):
    """Bytes of the tensors that operations made and that still live."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()
        self.foreign: set[int] = set()
        """Storages that were there before, such as weights: a view of them makes nothing."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.foreign |= {s._cdata for s in _storages((args, kwargs))} - self.known
        out = func(*args, **(kwargs or {}))
        for storage in _storages(out):
            if storage._cdata not in self.known and storage._cdata not in self.foreign:
                self._count(storage)
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self.known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def _storages(tree: Any) -> list[torch.UntypedStorage]:
    return [t.untyped_storage() for t in tree_leaves(tree) if isinstance(t, Tensor)]


class _FusedAttention(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is scaled_dot_product_attention:
            query, value = (args[i] if len(args) > i else kwargs[n] for i, n in ((0, "query"), (2, "value")))
            return query.new_empty(*query.shape[:-1], value.shape[-1])
        return func(*args, **kwargs)


@lru_cache(maxsize=16)
def call_bytes(config: MultiViewConfig, views: int, side: int, *, words: int = 77, control: bool = False) -> int:
    """Most bytes of feature maps that are alive at once while the network works on one set (single precision), its inputs and output included.

    A call on n sets takes n times as much: nothing is shared between them.

    Args:
        config: sizes of the network.
        views: pictures of a set in each domain.
        side: of the pictures.
        words: tokens of a prompt.
        control: whether residuals of a ControlNet are added.
    """
    network = MultiViewUNet.meta(config).eval()
    alive = _Alive()
    with torch.no_grad(), torch.device("meta"), _FusedAttention(), alive:
        sample = torch.zeros(1, 2, views, config.channels, side, side)
        condition = torch.zeros(1, 2, views, config.condition_channels, side, side)
        text = torch.zeros(1, 2, views, words, config.text_width)
        code = torch.zeros(1, 2, views, config.class_width) if config.class_width else None
        residuals = _residuals(config, 2 * views, side) if control else None
        network(sample, condition, torch.zeros(1, dtype=torch.long), text=text, image_embedding=code, control=residuals)
    return alive.peak


def _residuals(config: MultiViewConfig, pictures: int, side: int) -> ControlResiduals:
    """What a ControlNet of the same sizes adds to the skip connections and to the middle block."""
    cells, last = side // config.patch, len(config.widths) - 1
    shapes = [(config.widths[0], cells)]
    for i, width in enumerate(config.widths):
        shapes += [(width, cells >> i)] * config.layers + [(width, cells >> (i + 1))] * (i < last)
    down = tuple(torch.zeros(pictures, c, s, s) for c, s in shapes)
    return ControlResiduals(down, torch.zeros(pictures, config.widths[-1], cells >> last, cells >> last))


def weight_bytes(*networks: nn.Module | None) -> int:
    """Of all parameters and buffers."""
    tensors = (t for network in networks if network is not None for t in (*network.parameters(), *network.buffers()))
    return sum({id(t): t.nbytes for t in tensors}.values())


@dataclass(frozen=True)
class SetMemory:
    """What a completion takes [bytes]."""

    weights: int
    """Of the networks that stay in memory."""
    pictures: int
    """Conditions of all sets and the sampler's own pictures."""
    per_set: int
    """Feature maps of each set that goes through the network, with the margin."""

    @staticmethod
    def of(config: MultiViewConfig, sets: int, views: int, side: int, *, weights: int, words: int = 77, control: bool = False) -> SetMemory:
        """For so many sets; arguments as of :func:`call_bytes`."""
        # the sampler holds the noisy, the clean and the told pictures, noise, what is mixed in, and products of these
        numbers = config.condition_channels + 10 * config.channels
        pictures = sets * 2 * views * (4 * numbers * side * side + 4 * words * config.text_width)
        return SetMemory(weights, pictures, round(MARGIN * call_bytes(config, views, side, words=words, control=control)))

    def sets_at_once(self, sets: int, max_bytes: float) -> int:
        """How many of the sets may go through the network together.

        Raises:
            ResourceLimitError: not even one.
        """
        fit = int((max_bytes - self.weights - self.pictures) // self.per_set)
        if fit < 1:
            needed = self.weights + self.pictures + self.per_set
            parts = " + ".join(f"{b / 1e9:.2f}" for b in (self.weights, self.pictures, self.per_set))
            raise ResourceLimitError(
                f"The view completion does not fit into {max_bytes / 1e9:.2f} GB.",
                why=f"It takes {needed / 1e9:.2f} GB for one set of views at a time (weights + pictures + feature maps: {parts}).",
                next_step=f'Give --max-memory {math.ceil(needed / 1e8) / 10:.1f} or more, or complete with the method "body-prior".',
                needed=needed,
                limit=max_bytes,
            )
        return min(sets, fit)
