"""Faces: which views show them, alignment there and back, and that only what the photo did not show is changed."""

from dataclasses import dataclass, replace

import pytest
import torch
from safetensors.torch import save_file

from huddle3d.errors import InputError
from huddle3d.geometry import apply, rotation_y
from huddle3d.networks import CodeFormer, CodeFormerConfig
from huddle3d.people._faces import _alignment, _disc, codeformer_restorer, face_views, restore_faces, restorer_digest
from huddle3d.people.report import face_notes

TINY = CodeFormerConfig(size=64, width=8, attention_at=2, latent=12, codebook=16, dim=32, heads=1, layers=1, connect=(8,), groups=8)


@dataclass(frozen=True)
class Painter:
    """Paints the whole face in one colour."""

    size: int = 96
    colour: tuple[float, float, float] = (0.0, 1.0, 0.0)

    def __call__(self, face, hole):
        assert face.shape == (3, self.size, self.size) and hole.shape == (self.size, self.size) and bool(hole.any())
        return torch.tensor(self.colour)[:, None, None].expand(3, self.size, self.size)


def landmarks_of(scene, views, k=0):
    return apply(views.T_canon_world, scene.bodies.landmarks[k])


def test_the_most_frontal_view_is_the_one_that_a_face_looks_at(scene, views):
    marks = landmarks_of(scene, views)
    best = face_views(marks, views.cameras)
    assert [f.view for f in best][0] in (0, 1, 5) and 1 <= len(best) <= 2 and best[0].frontal > 0.6
    assert all(a.frontal >= b.frontal for a, b in zip(best, best[1:]))
    behind = face_views(marks @ rotation_y(torch.tensor(torch.pi)).T, views.cameras)
    turned = {0: 3, 1: None, 5: None}[best[0].view] if best[0].view == 0 else None
    assert turned is None or behind[0].view == turned
    assert not face_views(torch.full_like(marks, torch.nan), views.cameras)
    up = marks[:, [0, 2, 1]] * torch.tensor([1.0, -1.0, 1.0])  # looks at the sky
    assert not [f for f in face_views(up, views.cameras) if f.frontal > 0.7]


def test_an_aligned_face_stands_on_the_template(scene, views):
    found = face_views(landmarks_of(scene, views), views.cameras)[0]
    matrix = torch.from_numpy(_alignment(found.points, 512)).float()
    placed = found.points @ matrix[:, :2].T + matrix[:, 2]
    assert float(placed[0, 0]) < float(placed[1, 0]) and float(placed[:2, 1].mean()) < float(placed[2, 1]) < float(placed[3:, 1].mean())
    assert float((placed[:2].mean(0) - torch.tensor([255.9, 240.1])).norm()) < 60
    assert _alignment(torch.zeros(5, 2), 512) is None
    assert float(_disc(64)[32, 32]) == 1 and float(_disc(64)[0, 0]) == 0


def test_only_what_the_photo_did_not_show_is_restored(scene, views, completed):
    blind = replace(views, seen_inst=torch.zeros_like(views.seen_inst))
    done, names = restore_faces(blind, completed, scene.bodies, Painter())
    assert names == scene.bodies.names
    for k in range(2):
        i = face_views(landmarks_of(scene, views, k), views.cameras)[0].view
        changed = (done.rgb_inst[k] - completed.rgb_inst[k]).abs().sum(-1) > 1e-6
        assert changed[i].sum() > 20 and not changed[[j for j in range(6) if j != i]].any()
        assert not (changed & (completed.alpha_inst[k] <= 0.5)).any()
        green = (done.rgb_inst[k, i] - torch.tensor([0.0, 1.0, 0.0])).abs().sum(-1) < 0.05
        nose = face_views(landmarks_of(scene, views, k), views.cameras)[0].points[2].round().long()
        assert green[nose[1] - 1 : nose[1] + 2, nose[0] - 1 : nose[0] + 2].any()
    everything = replace(views, seen_inst=torch.ones_like(views.seen_inst))
    same, names = restore_faces(everything, completed, scene.bodies, Painter())
    assert not names and torch.equal(same.rgb_inst, completed.rgb_inst)
    half = blind.seen_inst.clone()
    half[:, :, :, : half.shape[3] // 2] = True
    part, _ = restore_faces(replace(views, seen_inst=half), completed, scene.bodies, Painter())
    assert torch.equal(part.rgb_inst[half], completed.rgb_inst[half])


def test_a_file_of_ones_own(tmp_path, scene, views, completed):
    torch.manual_seed(0)
    path = tmp_path / "face.safetensors"
    save_file(CodeFormer(TINY).state_dict(), path)
    restorer = codeformer_restorer(str(path))
    assert restorer.size == 64
    blind = replace(views, seen_inst=torch.zeros_like(views.seen_inst))
    done, names = restore_faces(blind, completed, scene.bodies, restorer)
    assert (
        names == scene.bodies.names
        and bool(torch.isfinite(done.rgb_inst).all())
        and 0 <= float(done.rgb_inst.min()) <= float(done.rgb_inst.max()) <= 1
    )
    assert restorer_digest("none") == "" and len(restorer_digest(str(path))) == 64
    with pytest.raises(InputError, match="missing"):
        restorer_digest(str(tmp_path / "missing.safetensors"))
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="not a CodeFormer"):
        codeformer_restorer(str(path))


def test_the_report_names_faces_that_are_a_guess(scene):
    from types import SimpleNamespace

    def mesh(name, confidence):
        return SimpleNamespace(name=name, vertices=scene.bodies.vertices[0], confidence=torch.full((len(scene.bodies.vertices[0]),), confidence))

    result = SimpleNamespace(meshes=[mesh("a", 0.9), mesh("b", 0.0)], bodies=SimpleNamespace(landmarks=scene.bodies.landmarks[[0, 0]]))
    (note,) = face_notes(result, {})
    assert note.startswith("b:") and "guess" in note
    assert "network" in face_notes(result, {"config": {"paint": {"faces": "x.safetensors"}}})[0]
