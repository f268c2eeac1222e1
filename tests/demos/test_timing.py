"""The timer: one cell can be one if its gates see the cell; and networks side by side are what they are alone."""

from __future__ import annotations

import numpy as np
import pytest

from gluon_lstm.cli.main import main
from gluon_lstm.config import ModelConfig
from gluon_lstm.demos import spikes
from gluon_lstm.demos.block_diagonal import BlockDiagonal


@pytest.mark.parametrize("variant", ["standard", "peephole", "peephole-full"])
def test_side_by_side_each_network_is_what_it_is_alone(variant):
    config = ModelConfig(2, variant)
    together = spikes.train(config, [4, 5], 25)
    for k, seed in enumerate([4, 5]):
        alone = spikes.train(config, [seed], 25)
        for name, array in together.W.items():
            rows, columns = (size // 2 for size in np.atleast_2d(array).shape)
            if array.ndim == 2:
                block = array[k * rows : (k + 1) * rows, k * columns : (k + 1) * columns]
            else:
                block = array[k * columns : (k + 1) * columns]
            np.testing.assert_allclose(block, alone.W[name], rtol=1e-9, atol=1e-12, err_msg=name)
            assert not array[together.inside[name] == 0].any(), name


def test_its_gradients_are_the_slopes_of_the_loss():
    rng = np.random.default_rng(0)
    config = ModelConfig(2, "peephole-full")
    shapes = config.shapes(1)
    networks = BlockDiagonal([{name: rng.standard_normal(s) for name, s in shapes.items()} for _ in range(3)], config)
    x, y = (np.tile(array, 3) for array in spikes.task([3, 5]))
    answer = networks.answer(x)
    grads = networks.gradients(answer, 2 * (answer.z - y))
    for name, array in networks.W.items():
        for place in zip(*np.nonzero(networks.inside[name])):
            losses = []
            for moved in (array[place] + 1e-6, array[place] - 1e-6):
                kept, array[place] = array[place], moved
                losses.append(((networks.answer(x).z - y) ** 2).sum())
                array[place] = kept
            assert grads[name][place] == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-5, abs=1e-6)


def test_lengths_and_clipping_are_those_of_each_network():
    rng = np.random.default_rng(1)
    parts = [
        {name: scale * rng.standard_normal(s) for name, s in ModelConfig(2).shapes(1).items()} for scale in (0.01, 9)
    ]
    networks = BlockDiagonal(parts, ModelConfig(2))
    lengths = [np.linalg.norm(np.concatenate([a.ravel() for a in part.values()])) for part in parts]
    assert lengths[0] < 1 < lengths[1]
    np.testing.assert_allclose(networks.lengths(networks.W), lengths)
    np.testing.assert_allclose(networks.lengths(networks.clipped(networks.W, 1.0)), [lengths[0], 1.0])


def test_the_spike_is_wanted_so_many_steps_after_the_delay_was_told():
    x, y = spikes.task([6, 21])
    assert np.argwhere(y[..., 0]).tolist() == [[6, 0], [21, 1]]
    assert x[0, :, 0].tolist() == [6 / 21, 1.0] and not x[1:].any()
    assert not set(spikes.TRAINED) & set(spikes.TRIED)


def test_both_variants_begin_with_the_same_numbers():
    standard, peephole = (
        spikes.begin(ModelConfig(1, variant), np.random.default_rng(1)) for variant in spikes.VARIANTS
    )
    assert all(np.array_equal(peephole[name], array) for name, array in standard.items())
    assert {name: array.tolist() for name, array in peephole.items() if name not in standard} == {
        "Wci": [0], "Wcf": [0], "Wco": [0],
    }  # fmt: skip


def test_one_cell_with_peepholes_keeps_time_and_one_without_does_not(monkeypatch):
    """All five seeds, as the demonstration has it."""
    monkeypatch.setattr(spikes, "CELLS", (1,))
    results = spikes.run(range(1, 6))
    standard, peephole = (results[1, variant] for variant in spikes.VARIANTS)
    assert (standard.error > 0.85).all() and not standard.on_time.any()
    assert (peephole.error < 0.5).all() and np.median(peephole.on_time) == 1


def test_on_time_is_above_one_half_at_that_step_and_at_no_other(monkeypatch):
    _, y = spikes.task(spikes.TRIED)
    z = np.concatenate([0.6 * y, 0.4 * y, 0.6 * (y + np.roll(y, 1, axis=0))], axis=2)

    class Networks:
        count = 3

        def answer(self, x):
            return type("Answer", (), {"z": z})

    result = spikes.tried(Networks())
    assert result.on_time.tolist() == [1, 0, 0]
    np.testing.assert_allclose(result.error, [0.4**2, 0.6**2, 0.4**2 + 0.6**2])


def test_the_command_prints_each_seed_and_the_median(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(spikes, "UPDATES", 3)
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
