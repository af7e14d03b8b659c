"""Small hand-made values of the types that flow."""

import torch

from huddle3d.geometry import Camera, look_at
from huddle3d.scene import Bodies, BodyParams, Contact, Penetration, People2D, PersonMesh, Photo, Scene, make_scene
from huddle3d.scene.landmarks import NUM_LANDMARKS

WIDTH, HEIGHT = 80, 60


def photo(full_size: tuple[int, int] | None = None) -> Photo:
    return Photo(torch.rand(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(0)), "party", "ab" * 32, 70.0, "exif", full_size, ("A note.",))


def people2d(names: tuple[str, ...] = ("person_0", "person_1")) -> People2D:
    k = len(names)
    keypoints = torch.full((k, NUM_LANDMARKS, 3), 0.5)
    keypoints[:, 9] = 0.0  # left wrist: not observed
    boxes = torch.tensor([[10.0, 5, 30, 55], [40, 5, 70, 55]])[:k]
    masks = torch.zeros(k, HEIGHT, WIDTH, dtype=torch.bool)
    return People2D(
        names, boxes, torch.full((k,), 0.9), keypoints, torch.zeros(k, NUM_LANDMARKS, 4), masks, "coco-json", ("person_1 is cut off.", "It is dark.")
    )


def bodies(names: tuple[str, ...] = ("person_0", "person_1")) -> Bodies:
    k = len(names)
    generator = torch.Generator().manual_seed(1)
    params = BodyParams(
        torch.rand(k, 6, generator=generator), torch.rand(k, 5, 3, generator=generator), torch.rand(k, 3, generator=generator), torch.zeros(k, 0)
    )
    T = look_at(torch.tensor([0.0, 1.0, 4.0]), torch.tensor([0.0, 1.0, 0.0]))
    camera = Camera.perspective(70.0, WIDTH, HEIGHT, T)
    landmarks = torch.randn(k, NUM_LANDMARKS, 3, generator=generator) * 0.3 + torch.tensor([0.0, 1.0, 0.0])
    landmarks[:, 10] = torch.tensor([0.0, 1.0, 9.0])  # right wrist: behind the camera
    vertices = torch.rand(k, 8, 3, generator=generator)
    return Bodies(
        "anny", names, params, vertices, landmarks, camera, torch.tensor([1.5, 2.5])[:k], torch.tensor([0.8, 0.6])[:k], ("person_1 floats.",)
    )


def person(name: str, x: float = 0.0) -> PersonMesh:
    """A tetrahedron with one texture cell per face."""
    vertices = torch.tensor([[x, 0.0, 0.0], [x + 1, 0, 0], [x, 1, 0], [x, 0, 1]])
    faces = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    uv = torch.rand(12, 2, generator=torch.Generator().manual_seed(2))
    texture = torch.randint(0, 256, (16, 24, 3), generator=torch.Generator().manual_seed(3)) / 255
    return PersonMesh(name, vertices, faces, uv, torch.arange(12).reshape(4, 3), texture, torch.ones(4))


def scene(full_size: tuple[int, int] | None = (320, 240)) -> Scene:
    contacts = (Contact("person_0", "left_hand", "person_1", "upper_back", 12, -1.25),)
    penetrations = (
        Penetration("person_0", "person_1", 4.5, 0.5, 3.25),
        Penetration("person_1", "person_0", 3.5, 0.25, 3.25),
        Penetration("person_0", "person_0", 1.0, 0.1, 0.0),
    )
    return make_scene(photo(full_size), people2d(), bodies(), [person("person_0"), person("person_1", 2.0)], contacts, penetrations)
