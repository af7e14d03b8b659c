"""``huddle3d view``: look at a finished scene in the browser."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import tyro

from huddle3d.cli.console import print_line
from huddle3d.errors import InputError

__all__ = ["view"]


def view(path: Annotated[Path, tyro.conf.Positional], port: int = 8080, seconds: float = 0.0) -> int:
    """Serve a scene to the browser on 127.0.0.1 only, behind a secret link.

    Args:
        path: A .glb file or the output folder of a run.
        port: Port to listen on; the next free one is taken if it is in use, 0 lets the system choose.
        seconds: Stop after this time [s]; 0 = serve until Ctrl-C.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"--port {port} is not a port.", next_step="Use a number from 1024 to 65535, or 0 for any free one.")
    if not 0 <= seconds < float("inf"):
        raise InputError(f"--seconds {seconds} is not a time.", next_step="Use 0 to serve until Ctrl-C.")
    from huddle3d.studio import Viewer, find_scene

    viewer = Viewer(find_scene(path), port)
    print_line(f"open {viewer.url}   (Ctrl-C stops)")
    end = time.monotonic() + seconds if seconds > 0 else float("inf")
    try:
        while time.monotonic() < end:
            time.sleep(0.2)
    except KeyboardInterrupt:
        pass
    finally:
        viewer.stop()
    return 0
