"""`demo timing`: one cell learns a timer with peepholes only; block-diagonal networks equal single ones."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import central_difference

from gluon_lstm.cli.main import main
from gluon_lstm.config import ModelConfig
from gluon_lstm.demos import timing
from gluon_lstm.demos.block_diagonal import BlockDiagonal


@pytest.mark.parametrize("variant", ["standard", "peephole", "peephole-full"])
def test_block_diagonal_networks_equal_single_networks(variant):
    config = ModelConfig(2, variant)
    together = timing.train(config, [4, 5], 25)
    for k, seed in enumerate([4, 5]):
        alone = timing.train(config, [seed], 25)
        for name, array in together.W.items():
            rows, columns = (size // 2 for size in np.atleast_2d(array).shape)
            if array.ndim == 2:
                block = array[k * rows : (k + 1) * rows, k * columns : (k + 1) * columns]
            else:
                block = array[k * columns : (k + 1) * columns]
            np.testing.assert_allclose(block, alone.W[name], rtol=1e-9, atol=1e-12, err_msg=name)
            assert not array[together.mask[name] == 0].any(), name


def test_gradients_equal_finite_differences():
    rng = np.random.default_rng(0)
    config = ModelConfig(2, "peephole-full")
    shapes = config.shapes(1)
    networks = BlockDiagonal([{name: rng.standard_normal(s) for name, s in shapes.items()} for _ in range(3)], config)
    x, y = (np.tile(array, 3) for array in timing.task([3, 5]))
    outputs = networks.forward(x)
    grads = networks.backward(outputs, 2 * (outputs.z - y))
    for name, array in networks.W.items():
        for index in zip(*np.nonzero(networks.mask[name])):
            wanted = central_difference(lambda: ((networks.forward(x).z - y) ** 2).sum(), array, index, step=1e-6)
            assert grads[name][index] == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def test_norms_and_clipping_are_per_network():
    rng = np.random.default_rng(1)
    parts = [
        {name: scale * rng.standard_normal(s) for name, s in ModelConfig(2).shapes(1).items()} for scale in (0.01, 9)
    ]
    networks = BlockDiagonal(parts, ModelConfig(2))
    norms = [np.linalg.norm(np.concatenate([a.ravel() for a in part.values()])) for part in parts]
    assert norms[0] < 1 < norms[1]
    np.testing.assert_allclose(networks.norms(networks.W), norms)
    np.testing.assert_allclose(networks.norms(networks.clip(networks.W, 1.0)), [norms[0], 1.0])


def test_target_spike_follows_after_the_delay():
    x, y = timing.task([6, 21])
    assert np.argwhere(y[..., 0]).tolist() == [[6, 0], [21, 1]]
    assert x[0, :, 0].tolist() == [6 / 21, 1.0] and not x[1:].any()
    assert not set(timing.TRAIN_DELAYS) & set(timing.TEST_DELAYS)


def test_both_variants_have_the_same_initial_weights():
    standard, peephole = (
        timing.initial_weights(ModelConfig(1, variant), np.random.default_rng(1)) for variant in timing.VARIANTS
    )
    assert all(np.array_equal(peephole[name], array) for name, array in standard.items())
    assert {name: array.tolist() for name, array in peephole.items() if name not in standard} == {
        "Wci": [0], "Wcf": [0], "Wco": [0],
    }  # fmt: skip


def test_one_cell_keeps_time_with_peepholes_only(monkeypatch):
    """With the five seeds of the demo."""
    monkeypatch.setattr(timing, "CELL_COUNTS", (1,))
    results = timing.train_all(range(1, 6))
    standard, peephole = (results[1, variant] for variant in timing.VARIANTS)
    assert (standard.error > 0.85).all() and not standard.on_time.any()
    assert (peephole.error < 0.5).all() and np.median(peephole.on_time) == 1


def test_on_time_means_above_one_half_at_the_right_step_only():
    _, y = timing.task(timing.TEST_DELAYS)
    z = np.concatenate([0.6 * y, 0.4 * y, 0.6 * (y + np.roll(y, 1, axis=0))], axis=2)

    class Networks:
        count = 3

        def forward(self, x):
            return type("Outputs", (), {"z": z})

    result = timing.evaluate(Networks())
    assert result.on_time.tolist() == [1, 0, 0]
    np.testing.assert_allclose(result.error, [0.4**2, 0.6**2, 0.4**2 + 0.6**2])


def test_command_prints_each_seed_and_the_median(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(timing, "UPDATES", 3)
    assert main(["demo", "timing", "--seed", "7", "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines if line and line.split()[-1].endswith("%")]
    assert names == ["7", "8", "9", "10", "11", "median"] * 2
    seeds = [float(line.split()[1]) for line in lines if line.split()[:1] in ([["7"], ["8"], ["9"], ["10"], ["11"]])][
        :5
    ]
    medians = [float(line.split()[1]) for line in lines if line.startswith("median")]
    assert medians[0] == np.median(seeds)
    assert (tmp_path / "timing.png").read_bytes().startswith(b"\x89PNG")
