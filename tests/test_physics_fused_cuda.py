"""The fused kernels compile for NVIDIA GPUs, which needs no GPU: Warp brings NVRTC."""

import re

import pytest

wp = pytest.importorskip("warp", reason="Warp is not installed")

from mjx_skillmimic.physics.fused import kernels  # noqa: E402

STATIC_SHARED_BYTES = 48 * 1024  # of a thread block, on every CUDA device


@pytest.mark.parametrize("blocks", [56, 36], ids=["ball hands", "hinge hands"])
@pytest.mark.parametrize("make", [kernels.smooth_kernel, kernels.contact_kernel], ids=["smooth", "contact"])
@pytest.mark.parametrize("architecture", [75, 90])
def test_kernels_compile_and_fit(make, blocks, architecture, tmp_path):
    module = make(blocks).module
    wp.compile_aot_module(module, device=None, arch=architecture, module_dir=tmp_path, use_ptx=True)
    (ptx,) = tmp_path.glob("*.ptx")
    sizes = re.findall(r"\.shared \.align \d+ \.b8 \w+\[(\d+)\]", ptx.read_text())
    assert sizes, "the worlds' data are meant to be in shared memory"
    assert sum(map(int, sizes)) <= STATIC_SHARED_BYTES
