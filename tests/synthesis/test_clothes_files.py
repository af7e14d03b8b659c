"""Clothes files: what they say, what is refused, and where they put a garment."""

import numpy as np
import pytest
import torch

from huddle3d.errors import HuddleError, InputError
from huddle3d.io import read_mhclo
from huddle3d.synthesis.clothes.hanging import fit_clothes, hidden_vertices, visible_parts

TEXT = """# a comment
basemesh hm08
name cap
obj_file cap.obj
z_depth 5
x_scale 0 1 2.0
z_scale 2 3 0.5
verts 0
material cap.mhmat
y_scale 4 5 1.0
7
0 1 2 0.5 0.75 -0.25 0.1 -0.2 0.3
delete_verts
3 5 - 8
10
"""


def parse(tmp_path, text):
    path = tmp_path / "cap.mhclo"
    path.write_text(text)
    return read_mhclo(path, base_vertices=12)


def test_everything_is_read(tmp_path):
    fit = parse(tmp_path, TEXT)
    assert (fit.name, fit.obj_file, fit.layer) == ("cap", "cap.obj", 5)
    assert fit.scale == ((0, 1, 2.0), (4, 5, 1.0), (2, 3, 0.5))
    assert fit.rows.tolist() == [[7, 7, 7], [0, 1, 2]] and fit.single.tolist() == [True, False]
    assert fit.hides.tolist() == [3, 5, 6, 7, 8, 10]


def test_fit_agrees_with_the_rule_written_out(tmp_path, rng):
    fit = parse(tmp_path, TEXT)
    base = torch.rand(12, 3, generator=rng, dtype=torch.float64)
    h = base.numpy() * 10
    s = np.array([abs(h[0][0] - h[1][0]) / 2.0, abs(h[4][1] - h[5][1]) / 1.0, abs(h[2][2] - h[3][2]) / 0.5])
    p = 0.5 * h[0] + 0.75 * h[1] - 0.25 * h[2] + s * np.array([0.1, -0.2, 0.3])
    placed = fit_clothes(fit, base)
    assert torch.equal(placed[0], base[7])
    assert np.allclose(placed[1].numpy() * 10, p, atol=1e-12)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0 1 2 0.5 0.75 -0.25 0.1 -0.2 0.3", "0 1 2 0.5"),
        ("0 1 2 0.5 0.75 -0.25 0.1 -0.2 0.3", "0 1 99 0.5 0.75 -0.25 0.1 -0.2 0.3"),
        ("0 1 2 0.5 0.75 -0.25 0.1 -0.2 0.3", "0 1 2 0.5 nan -0.25 0.1 -0.2 0.3"),
        ("5 - 8", "5 - 99999999999"),
        ("x_scale 0 1 2.0", "x_scale 0 1 0"),
        ("x_scale 0 1 2.0", "x_scale 0 77 1"),
        ("z_depth 5", "z_depth five"),
        ("cap.obj", "../cap.obj"),
        ("obj_file cap.obj\n", ""),
        ("verts 0\n", ""),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path, old, new):
    assert old in TEXT
    with pytest.raises(HuddleError, match=r"cap\.mhclo"):
        parse(tmp_path, TEXT.replace(old, new))


def test_missing_and_empty_files(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_mhclo(tmp_path / "none.mhclo", base_vertices=12)
    with pytest.raises(InputError, match="empty"):
        parse(tmp_path, "")


def test_outer_layers_hide_inner_ones_only(tmp_path):
    inner = parse(tmp_path, TEXT)
    shoes, suit = torch.zeros(12, dtype=torch.bool), torch.zeros(12, dtype=torch.bool)
    shoes[[3, 4]] = True
    suit[[0, 7]] = True
    over, every = hidden_vertices([(5, shoes), (50, suit), (50, shoes)], 12)
    assert torch.equal(over[0], suit | shoes) and not bool(over[1].any()) and not bool(over[2].any())
    assert torch.equal(every, suit | shoes)
    # vertex 0 sits on the hidden 7; vertex 1 keeps two of its three base vertices
    assert visible_parts(inner, over[0]).tolist() == [False, True]
    suit[1] = True
    assert visible_parts(inner, suit).tolist() == [False, False]
