"""docs/fast.md agrees with the code: tile sizes, constants and the shapes of all buffers."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import pytest

from gluon_lstm.config import ModelConfig
from gluon_lstm.lstm.fast import gemm, window

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "fast.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]


def test_the_row_of_this_instruction_set_has_the_sizes_of_the_microkernel():
    arm = platform.machine() in ("aarch64", "arm64")
    name = "NEON (AArch64)" if arm else {16: "AVX-512", 8: "AVX2, AVX", 4: "SSE"}[gemm.SIMD_WIDTH]
    (row,) = [row for row in ROWS if row[0] == name]
    accumulators = gemm.MR * gemm.NR_VECTORS
    assert row[2:6] == [
        str(gemm.SIMD_WIDTH), f"{gemm.MR} × {gemm.NR}", str(accumulators), str(gemm.NR_VECTORS)
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["AVX-512", "AVX2, AVX", "SSE", "NEON (AArch64)"])
def test_tiles_fit_in_the_registers_and_kc_is_a_multiple_of_nr(name):
    (row,) = [row for row in ROWS if row[0] == name]
    registers, width, accumulators, b, left = map(int, (row[1], row[2], *row[4:7]))
    mr, nr = map(int, row[3].split(" × "))
    assert accumulators == mr * nr // width and b == nr // width
    assert registers - accumulators - b == left > 0
    assert gemm.KC % nr == 0 and nr % mr == 0


def test_constants_are_those_of_the_code():
    constants = dict(re.findall(r"`([A-Z_]+)` = (\d+)", PAGE.replace("`NR` = 2:", "")))
    assert constants == {"KC": str(gemm.KC), "MC": str(gemm.MC), "CHUNK_ROWS": str(window.CHUNK_ROWS)}


@pytest.mark.parametrize("variant", ["standard", "peephole", "rnn"])
def test_buffers_have_the_names_and_shapes_of_the_table(variant):
    T, N, H, V = 70, 9, 45, 101
    config = ModelConfig(H, variant, 2)
    buffers = window._Buffers(config, T, N, V)
    layer = buffers.layers[1]
    sizes = {
        "P": gemm.num_panels(H), "Q": gemm.num_panels(V), "R": T * N, "N": N, "NR": gemm.NR,
        "G": len(config.cell.fused_gate_order), "K": len(buffers.chunks),
    }  # fmt: skip
    documented = set()
    for names, shapes, *_ in (row for row in ROWS if len(row) == 4 and row[1].startswith("`(")):
        for name in re.findall(r"`(\w+)`", names):
            documented.add(name)
            array = getattr(layer, name, getattr(buffers, name, None))
            assert array.shape in [eval(shape, {}, sizes) for shape in re.findall(r"`(\(.*?\))`", shapes)], name
    arrays = {k for owner in (layer, buffers) for k, v in vars(owner).items() if hasattr(v, "shape")}
    assert arrays == documented
