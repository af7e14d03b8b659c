"""Captions of clothing as tokens."""

import pytest
import torch

from huddle3d.errors import InputError, ShapeError
from huddle3d.networks import COLOUR_WORDS, VOCABULARY, ClothingText, encode_captions, unknown_words


def test_vocabulary_has_no_word_twice_and_every_word_is_found():
    assert len(set(VOCABULARY)) == len(VOCABULARY) and set(COLOUR_WORDS) <= set(VOCABULARY)
    tokens = encode_captions([word for word in VOCABULARY])
    assert tokens[:, 0, 0].tolist() == list(range(1, len(VOCABULARY) + 1))


def test_phrases_keep_their_colours():
    text = ClothingText(16)
    one, other, turned, same = text(
        encode_captions(["red shirt, blue jeans", "blue shirt, red jeans", "blue jeans; shirt red", "Red Shirt. blue jeans"])
    )

    def phrases(x):
        return sorted(tuple(round(v, 4) for v in row) for row in x[0, 0, 1:].tolist())

    assert phrases(one) == phrases(turned) and phrases(one) != phrases(other)
    torch.testing.assert_close(one, same)


def test_unknown_words_have_no_effect_and_are_named():
    text = ClothingText(8)
    torch.testing.assert_close(text(encode_captions(["a gorgeous red tee, wow"])), text(encode_captions(["red t-shirt"])))
    assert unknown_words("a gorgeous red tee, wow") == ("a", "gorgeous", "wow")
    torch.testing.assert_close(text(encode_captions(["???", ""]))[0], text(encode_captions([""]))[0])


def test_each_picture_is_told_its_view_and_domain():
    tokens = ClothingText(8)(encode_captions(["red shirt"]))
    assert tokens.shape == (1, 2, 6, 13, 8)
    assert len({tuple(t.tolist()) for t in tokens[0, :, :, 0].reshape(-1, 8)}) == 12
    assert bool((tokens[:, :, :, 1:] == tokens[:, :1, :1, 1:]).all())


def test_long_captions_are_cut():
    tokens = encode_captions([", ".join(["red striped open long wide loose dark t-shirt"] * 30)])
    assert tokens.shape == (1, 12, 6) and bool((tokens > 0).all())


def test_bad_captions():
    with pytest.raises(InputError, match="not text"):
        encode_captions([3])  # type: ignore[list-item]
    with pytest.raises(ShapeError):
        ClothingText(8)(torch.zeros(1, 3, dtype=torch.long))
