"""Kernels of NumPy's BLAS: the choice for a processor, the warning, and results that do not depend on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import random_model

from gluon_lstm import blas
from gluon_lstm.cli.main import main
from gluon_lstm.config import ModelConfig
from gluon_lstm.system import cpu_info
from gluon_lstm.text.settings import TextSettings

AVX2 = "fpu sse2 ssse3 avx fma avx2 bmi2"
AVX512 = f"{AVX2} avx512f avx512dq avx512cd avx512bw avx512vl"


@pytest.mark.parametrize(
    ("vendor", "family", "flags", "kernels"),
    [
        ("GenuineIntel", "6", AVX512, "SkylakeX"),  # Emerald Rapids
        ("GenuineIntel", "6", AVX2, "Haswell"),  # Alder Lake
        ("GenuineIntel", "6", "fpu sse2 ssse3 avx", ""),  # Sandy Bridge, which OpenBLAS knows
        ("AuthenticAMD", "25", AVX512, ""),  # Zen 4, which OpenBLAS knows
        ("AuthenticAMD", "23", AVX2, ""),  # Zen 2
        ("AuthenticAMD", "26", AVX512, "SkylakeX"),  # Zen 5
        ("HygonGenuine", "24", AVX2, "Haswell"),
    ],
)
def test_kernels_follow_the_flags_of_processors_that_openblas_may_not_know(tmp_path, vendor, family, flags, kernels):
    path = tmp_path / "cpuinfo"
    path.write_text(
        f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: {family}\nflags\t\t: {flags}\n\nprocessor\t: 1\n"
    )
    assert blas.fallback_kernels(cpu_info(str(path))) == kernels


@pytest.mark.parametrize(
    ("numpy_version", "given", "expected"),
    [("1.26.4", None, "SkylakeX"), ("1.26.4", "Zen", "Zen"), ("2.2.0", None, None), ("2.1.3", None, "SkylakeX")],
)
def test_kernels_are_chosen_for_an_old_numpy_unless_the_user_did(monkeypatch, numpy_version, given, expected):
    monkeypatch.setattr(blas, "cpu_info", lambda: {"vendor_id": "GenuineIntel", "flags": AVX512})
    monkeypatch.setattr(blas, "versions", lambda names: {"numpy": numpy_version})
    monkeypatch.setenv(blas.CORETYPE, given) if given else monkeypatch.delenv(blas.CORETYPE, raising=False)
    blas.choose_blas_kernels()
    assert os.environ.get(blas.CORETYPE) == expected
    monkeypatch.delenv(blas.CORETYPE, raising=False)


PROGRAM = """
import json, sys, warnings
import numpy as np
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import gluon_lstm
    lm = gluon_lstm.load(sys.argv[1])
    gluon_lstm.load(sys.argv[1])
from gluon_lstm.sampling.inference_cell import InferenceCell
state = InferenceCell(lm.model.arrays, lm.model.config).zero_state()
logits = []
for id in range(len(lm.model.vocabulary)):
    state.step([id])
    logits.append(state.logits()[:, 0].tolist())
texts = [lm.generate("こ", length=60, seed=seed) for seed in (1, 2, 3)]
print(json.dumps([[str(each.message) for each in caught], logits, texts]))
"""

needs_avx2 = pytest.mark.skipif(
    not {"avx2", "fma"} <= set(cpu_info().get("flags", "").split()), reason="this processor has no AVX2"
)


@needs_avx2
def test_prescott_kernels_give_the_same_text_and_load_warns_once(tmp_path):
    path = tmp_path / "model.safetensors"
    random_model(TextSettings(), [chr(0x3041 + k) for k in range(80)], ModelConfig(64), scale=0.2).save(path)
    results = {}
    for kernels in ("", "Prescott"):
        environment = {**os.environ, blas.CORETYPE: kernels} if kernels else dict(os.environ)
        command = [sys.executable, "-c", PROGRAM, str(path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        results[kernels] = json.loads(done.stdout)
    warned, logits, texts = results["Prescott"]
    if not warned:
        pytest.skip("this BLAS has no Prescott kernels")
    assert len(warned) == 1 and "Prescott kernels" in warned[0] and "OPENBLAS_CORETYPE=" in warned[0]
    assert results[""][0] == []
    np.testing.assert_allclose(logits, results[""][1], rtol=0, atol=1e-5)
    assert texts == results[""][2]


def test_version_with_verbose_names_libraries_processor_and_kernels(capsys):
    assert main(["--version", "--verbose"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("gluon-lstm ") and f"numpy {np.__version__}" in lines[1]
    assert lines[3].startswith("products: ") and " kernels, " in lines[3]
