"""Every kernel module compiles for a data-centre GPU, on machines that have none (Warp brings its own compiler)."""

import importlib
from pathlib import Path

import pytest

import huddle3d.render
from huddle3d.compute import warp

MODULES = sorted(p.stem for p in Path(huddle3d.render.__file__).parent.glob("_*_kernels.py"))


def test_all_kernel_modules_are_listed():
    assert MODULES == ["_attribute_kernels", "_points_kernels", "_raster_kernels", "_shading_kernels", "_visibility_kernels"]


@pytest.mark.parametrize("name", MODULES)
def test_compiles_for_sm_90(tmp_path, name):
    wp = warp()
    module = importlib.import_module(f"huddle3d.render.{name}")
    files = wp.compile_aot_module(module, arch=90, module_dir=tmp_path)
    binaries = [p for p in map(Path, files) if p.suffix in (".cubin", ".ptx")]
    assert binaries and all("sm90" in p.name and p.stat().st_size > 1000 for p in binaries)
