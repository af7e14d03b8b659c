"""The kernels compile for a CUDA device on a machine without one, and importing the room costs nothing."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["_kernels", "_triangle_kernels"])
def test_kernels_compile_for_sm_90(name, tmp_path):
    import importlib

    from huddle3d.compute import warp

    module = importlib.import_module(f"huddle3d.contact.{name}")
    files = warp().compile_aot_module(module, arch=90, module_dir=tmp_path)
    assert any(f.suffix in (".cubin", ".ptx") and f.stat().st_size > 1000 for f in files)


def test_import_is_cheap():
    code = "import sys, huddle3d.contact; sys.exit(sum(m in sys.modules for m in ('warp', 'scipy.sparse')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
