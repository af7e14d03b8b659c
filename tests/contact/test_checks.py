import pytest
import torch

from huddle3d.contact import MeshQuery
from huddle3d.contact._checks import MOST_FACES, check_faces
from huddle3d.errors import InputError


def test_more_faces_than_a_float_can_number_are_refused():
    faces = torch.zeros(1, 3, dtype=torch.int32).expand(MOST_FACES + 1, 3)  # one row of memory
    with pytest.raises(InputError, match="at most"):
        check_faces(faces, 3)


@pytest.mark.parametrize("faces", [torch.zeros(0, 3, dtype=torch.int32), torch.tensor([[0, 1, 9]]), torch.tensor([[0, 1, -1]]), torch.rand(1, 3)])
def test_faces_that_would_crash_a_kernel_are_refused(faces):
    with pytest.raises(InputError):
        MeshQuery(torch.rand(4, 3), faces)
