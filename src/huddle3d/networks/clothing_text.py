"""Words for the embedded tier: a fixed small vocabulary of clothes, colours and views, and one learned token per phrase.

The foundation tier has CLIP's text encoder. Here a caption such as "red striped t-shirt, blue jeans" is split at commas into phrases; a phrase's
token is the sum of its words' vectors, so that the colour stays with its garment, while the order of phrases (and of words in a phrase) does
not matter. Words outside the vocabulary are without effect.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from huddle3d.errors import InputError, ShapeError
from huddle3d.networks.multiview import DOMAINS, VIEWS

__all__ = ["COLOUR_WORDS", "VOCABULARY", "ClothingText", "encode_captions", "unknown_words"]

COLOUR_WORDS: dict[str, tuple[float, float, float]] = {
    "black": (0.07, 0.07, 0.08),
    "white": (0.94, 0.94, 0.93),
    "grey": (0.50, 0.50, 0.50),
    "red": (0.76, 0.13, 0.13),
    "maroon": (0.38, 0.09, 0.13),
    "orange": (0.90, 0.47, 0.13),
    "brown": (0.38, 0.24, 0.14),
    "beige": (0.80, 0.71, 0.57),
    "khaki": (0.56, 0.51, 0.36),
    "yellow": (0.92, 0.79, 0.22),
    "olive": (0.39, 0.41, 0.18),
    "green": (0.18, 0.50, 0.23),
    "turquoise": (0.18, 0.63, 0.62),
    "blue": (0.18, 0.34, 0.70),
    "denim": (0.29, 0.38, 0.53),
    "navy": (0.10, 0.14, 0.30),
    "purple": (0.43, 0.22, 0.55),
    "pink": (0.90, 0.55, 0.67),
}
"""Names of colours with a typical sRGB value: the nearest one names a colour."""

_WORDS = {
    "garments": "shirt t-shirt blouse polo sweater pullover hoodie cardigan jacket blazer coat vest suit top dress skirt trousers jeans leggings shorts "
    "tights underwear swimsuit uniform shoes boots sneakers sandals socks barefoot hat cap scarf tie belt glasses gloves hood bag",
    "cuts": "long short knee-length ankle-length long-sleeved short-sleeved sleeveless wide slim loose fitted open closed flared bare",
    "patterns": "plain striped checked dotted printed gradient",
    "shades": "light dark pale bright",
    "people": "man woman girl boy child person young old hair bob bald beard skin blond two three group alone",
}
_PROMPTS = (*(f"{view}-view" for view in VIEWS), *(f"{domain}-map" for domain in DOMAINS))
VOCABULARY: tuple[str, ...] = (*COLOUR_WORDS, *(w for words in _WORDS.values() for w in words.split()), *_PROMPTS)
"""All words; word i has token i + 1, token 0 is no word. The order is part of trained weights: new words go to the end."""

_INDEX = {word: i + 1 for i, word in enumerate(VOCABULARY)}
_SAME = {
    "tee": "t-shirt", "tshirt": "t-shirt", "pants": "trousers", "gray": "grey", "violet": "purple", "jumper": "sweater", "trainers": "sneakers",
    "stripes": "striped", "checkered": "checked", "checks": "checked", "plaid": "checked", "dots": "dotted", "print": "printed", "tan": "beige",
    "crimson": "maroon", "teal": "turquoise", "cyan": "turquoise", "blonde": "blond", "male": "man", "female": "woman", "sleeveles": "sleeveless",
}  # fmt: skip

PHRASES = 12
"""Phrases of a caption that are used; more are cut off."""
WORDS = 6
"""Words of a phrase that are used."""


def _words(phrase: str) -> list[str]:
    found: list[str] = re.findall(r"[a-z]+(?:[-_][a-z]+)*", phrase.lower())
    return [_SAME.get(w, w) for w in found]


def unknown_words(caption: str) -> tuple[str, ...]:
    """Words of a caption that have no effect, each once, in order.

    Example:
        >>> unknown_words("a red t-shirt, sparkling jeans")
        ('a', 'sparkling')
    """
    return tuple(dict.fromkeys(w for w in _words(caption) if w not in _INDEX))


def encode_captions(captions: Sequence[str]) -> Int[Tensor, "B phrases words"]:
    """Token numbers of the phrases of captions (separated by commas, semicolons or full stops); 0 where there is no word.

    Raises:
        InputError: a caption is not text.
    """
    out = torch.zeros(len(captions), PHRASES, WORDS, dtype=torch.long)
    for b, caption in enumerate(captions):
        if not isinstance(caption, str):
            raise InputError(f"A caption is {type(caption).__name__}, not text.", next_step='Write what the people wear: "red t-shirt, blue jeans".')
        found = [[_INDEX[w] for w in _words(phrase) if w in _INDEX] for phrase in re.split(r"[,;.]", caption)]
        for p, words in enumerate([f for f in found if f][:PHRASES]):
            out[b, p, : min(len(words), WORDS)] = torch.tensor(words[:WORDS])
    return out


class ClothingText(nn.Module):
    """Captions to the tokens that the embedded denoiser attends to.

    The first token of a picture says its view and domain; the others are the caption's phrases. Phrases that are not there are one learned
    token, so an empty caption is the unconditional prompt.

    Args:
        width: T of the denoiser's config.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.words = nn.Embedding(len(VOCABULARY) + 1, width, padding_idx=0)
        self.nothing = nn.Parameter(torch.zeros(width))
        nn.init.normal_(self.words.weight, std=0.5)
        with torch.no_grad():
            self.words.weight[0] = 0
            self.nothing.normal_(std=0.5)

    def forward(self, tokens: Int[Tensor, "B phrases words"], views: int = len(VIEWS)) -> Float[Tensor, "B D V L T"]:
        """Tokens of every picture of B samples, from :func:`encode_captions`; L is one more than the number of phrases.

        Raises:
            ShapeError: not such tokens, or more views than there are names of.
        """
        if tokens.ndim != 3 or not 1 <= views <= len(VIEWS):
            raise ShapeError("tokens", (*tokens.shape, views), ("B", "phrases", "words", f"views <= {len(VIEWS)}"))
        phrases = self.words(tokens).sum(2)
        phrases = torch.where((tokens > 0).any(2)[..., None], phrases, self.nothing)
        prompt = self._prompts(views, tokens.device).expand(len(tokens), -1, -1, -1, -1)
        told = phrases[:, None, None].expand(-1, len(DOMAINS), views, -1, -1)
        return torch.cat([prompt, told], 3)

    def _prompts(self, views: int, device: torch.device) -> Float[Tensor, "1 D V 1 T"]:
        view = self.words(torch.tensor([_INDEX[f"{view}-view"] for view in VIEWS[:views]], device=device))
        domain = self.words(torch.tensor([_INDEX[f"{domain}-map"] for domain in DOMAINS], device=device))
        return cast(Tensor, domain[:, None] + view[None])[None, :, :, None]
