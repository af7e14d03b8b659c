"""Errors that say what happened, why, and what to do next; each maps to one exit code of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

__all__ = [
    "DeviceError",
    "HuddleError",
    "InputError",
    "LicenceRequiredError",
    "ResourceLimitError",
    "ShapeError",
    "StageError",
    "WeightsMissingError",
]


class HuddleError(Exception):
    """Base of all errors that a user can cause or mend.

    Args:
        what: one sentence, names the file or the value.
        why: the cause, if it is known.
        next_step: what the user can do about it.
        data: machine-readable facts about this error (shapes, limits, paths).
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, why: str = "", next_step: str = "", **data: object) -> None:
        self.what, self.why, self.next_step, self.data = what, why, next_step, data
        super().__init__(" ".join(part for part in (what, why, next_step) if part))


class InputError(HuddleError):
    """A file or value given by the user cannot be used."""

    exit_code = 2


class ShapeError(HuddleError, ValueError):
    """A tensor has another shape than the function's contract.

    Args:
        name: the argument's name.
        actual: its shape.
        expected: the shape of the contract, for instance ``("K", 17, 3)``.
    """

    exit_code = 2

    def __init__(self, name: str, actual: Sequence[int], expected: Sequence[int | str]) -> None:
        self.name, self.actual_shape, self.expected_shape = name, tuple(actual), tuple(expected)
        super().__init__(
            f"{name} has shape {self.actual_shape}, expected {self.expected_shape}.",
            actual_shape=self.actual_shape,
            expected_shape=self.expected_shape,
        )


class ResourceLimitError(HuddleError):
    """An input asks for more pixels, vertices, people or bytes than the stated limit."""

    exit_code = 3


class WeightsMissingError(HuddleError):
    """A network's weights are not on this machine."""

    exit_code = 4


class LicenceRequiredError(WeightsMissingError):
    """A file that only its licence holder may use is absent; the message names its page and where to put it."""

    exit_code = 5


class DeviceError(HuddleError):
    """The device that was asked for does not exist or failed."""

    exit_code = 6


class StageError(HuddleError):
    """A stage of the pipeline could not do its work on this item.

    Args:
        stage: the stage's name.
        item: the photo, clip or scene.
    """

    exit_code = 7

    def __init__(self, stage: str, item: str, what: str, *, why: str = "", next_step: str = "", **data: object) -> None:
        self.stage, self.item = stage, item
        super().__init__(f"{item}: stage '{stage}' failed: {what}", why=why, next_step=next_step, stage=stage, item=item, **data)
