"""Sampling rules: distributions against their definition, draws against the distribution."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.sampling.sampler import SamplingOptions, probabilities, sample

LOGITS = np.log([0.5, 0.3, 0.15, 0.05])
GREEDY = SamplingOptions(temperature=0)


def plain(**options: float) -> SamplingOptions:
    return SamplingOptions(**{"temperature": 1.0, **options})


def close(p: np.ndarray, expected: list[float]) -> None:
    np.testing.assert_allclose(p, expected, rtol=1e-12, atol=0)


# ---- distributions known by hand


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (plain(), [0.5, 0.3, 0.15, 0.05]),
        (plain(temperature=0.5), [0.25 / 0.365, 0.09 / 0.365, 0.0225 / 0.365, 0.0025 / 0.365]),
        (plain(top_k=2), [0.625, 0.375, 0, 0]),
        (plain(top_p=0.49), [1, 0, 0, 0]),
        (plain(top_p=0.51), [0.625, 0.375, 0, 0]),
        (plain(top_p=0.81), [10 / 19, 6 / 19, 3 / 19, 0]),
        (plain(top_p=0.96), [0.5, 0.3, 0.15, 0.05]),
        (plain(top_k=2, top_p=0.6), [1, 0, 0, 0]),  # top_p applies after top_k: 0.625
        (plain(temperature=0.5, top_p=0.68), [1, 0, 0, 0]),  # and after the temperature: 0.685
        (GREEDY, [1, 0, 0, 0]),
    ],
)
def test_distributions_known_by_hand(options, expected):
    close(probabilities(LOGITS, options), expected)


def test_temperature_two_takes_square_roots():
    roots = [math.sqrt(p) for p in (0.5, 0.3, 0.15, 0.05)]
    close(probabilities(LOGITS, plain(temperature=2)), [root / sum(roots) for root in roots])


def test_repetition_is_penalized_once_for_either_sign():
    z = np.array([2.0, -1.0, 0.5, 1.0])
    penalized = [math.exp(a) for a in (2.0 / 2, -1.0 * 2, 0.5, 1.0)]
    expected = [a / sum(penalized) for a in penalized]
    close(probabilities(z, plain(repetition_penalty=2.0), recent=[0, 1, 1, 0, 0]), expected)
    close(probabilities(z, plain(repetition_penalty=2.0)), [math.exp(a) / sum(map(math.exp, z)) for a in z])


def test_only_the_window_is_penalized():
    z = np.array([2.0, -1.0, 0.5, 1.0])
    options = plain(repetition_penalty=2.0, repetition_window=2)
    far = probabilities(z, options, recent=[0, 1, 3, 2])
    close(far, probabilities(z, plain(repetition_penalty=2.0), recent=[3, 2]).tolist())


def test_an_empty_window_is_neutral_or_an_error():
    try:
        options = plain(repetition_penalty=2.0, repetition_window=0)
    except ValueError:
        return
    close(probabilities(LOGITS, options, recent=[0, 1, 2]), [0.5, 0.3, 0.15, 0.05])


def test_logits_are_not_modified():
    z = LOGITS.copy()
    probabilities(z, plain(temperature=0.3, top_k=2, top_p=0.5, repetition_penalty=3.0), [1], [0, 2])
    np.testing.assert_array_equal(z, LOGITS)


def test_greedy_returns_the_first_of_equal_maxima():
    z = np.array([1.0, 3.0, 3.0, 2.0])
    for options in (GREEDY, plain(top_k=1), SamplingOptions(temperature=0, top_p=0.1)):
        close(probabilities(z, options), [0, 1, 0, 0])
        close(probabilities(z, options, banned_ids=[1]), [0, 0, 1, 0])
    close(probabilities(z, SamplingOptions(temperature=0, repetition_penalty=2.0), recent=[1, 2]), [0, 0, 0, 1])


def test_ties_at_the_cutoff_keep_the_lower_ids():
    z = np.zeros(5)
    close(probabilities(z, plain(top_k=2)), [0.5, 0.5, 0, 0, 0])
    close(probabilities(z, plain(top_p=0.5)), [1 / 3, 1 / 3, 1 / 3, 0, 0])
    close(probabilities(z, plain(top_k=3), banned_ids=[0]), [0, 1 / 3, 1 / 3, 1 / 3, 0])


def test_banned_ids_may_be_a_mask():
    mask = np.array([True, False, True, False])
    close(probabilities(LOGITS, plain(), mask), probabilities(LOGITS, plain(), [0, 2]).tolist())


@pytest.mark.parametrize("banned_ids", [[0, 1, 2, 3], np.ones(4, dtype=bool)])
def test_banning_all_ids_is_an_error(banned_ids):
    for options in (plain(), GREEDY, plain(top_k=1)):
        with pytest.raises(ValueError, match="no token is left"):
            probabilities(LOGITS, options, banned_ids)


# ---- against the definition, in plain Python


def by_definition(
    logits: list[float], options: SamplingOptions, banned_ids: set[int], recent: list[int]
) -> dict[int, float]:
    """Return id -> probability by the definitions: penalty, banned ids, temperature, top-k, top-p."""
    z = dict(enumerate(logits))
    for id in set(recent[-options.repetition_window :]):
        z[id] = z[id] / options.repetition_penalty if z[id] > 0 else z[id] * options.repetition_penalty
    likeliest_first = sorted((id for id in z if id not in banned_ids), key=lambda id: (-z[id], id))
    if options.temperature == 0:
        return {likeliest_first[0]: 1.0}
    kept = likeliest_first[: options.top_k]
    top = z[kept[0]]
    weights = {id: math.exp(max((z[id] - top) / options.temperature, -1e4)) for id in kept}
    total = sum(weights.values())
    nucleus, covered = [], 0.0
    for id in kept:
        if options.top_p is not None and covered >= options.top_p:
            break
        nucleus.append(id)
        covered += weights[id] / total
    total = sum(weights[id] for id in nucleus)
    return {id: weights[id] / total for id in nucleus}


OPTIONS = st.builds(
    SamplingOptions,
    temperature=st.one_of(st.just(0.0), st.floats(0.05, 5)),
    top_k=st.one_of(st.none(), st.integers(1, 9)),
    top_p=st.one_of(st.none(), st.floats(0.01, 1)),
    repetition_penalty=st.one_of(st.just(1.0), st.floats(0.5, 4)),
    repetition_window=st.integers(1, 5),
)
IDS = st.integers(0, 6)


@given(
    st.lists(st.integers(-40, 40).map(lambda n: n / 8), min_size=7, max_size=7),
    OPTIONS,
    st.sets(IDS, max_size=6),
    st.lists(IDS, max_size=8),
)
@settings(max_examples=150, deadline=None)
def test_every_combination_equals_the_definition(logits, options, banned_ids, recent):
    expected = by_definition(logits, options, banned_ids, recent)
    p = probabilities(np.array(logits), options, banned_ids, recent)
    if options.top_p is None or options.temperature == 0:
        np.testing.assert_allclose(p, [expected.get(id, 0.0) for id in range(7)], rtol=1e-9, atol=1e-300)
        return
    # Rounding may shift the boundary of the nucleus by one token: check the conditions of the definition instead.
    without = {**vars(options), "top_p": None}
    whole = by_definition(logits, SamplingOptions(**without), banned_ids, recent)
    kept = [id for id in range(7) if p[id] > 0]
    share = sum(whole.get(id, 0.0) for id in kept)
    np.testing.assert_allclose(p[kept], [whole[id] / share for id in kept], rtol=1e-9)
    assert share >= options.top_p - 1e-9
    assert share - min(whole[id] for id in kept) < options.top_p + 1e-9
    left = [whole[id] for id in whole if id not in kept]
    assert not left or max(left) <= min(whole[id] for id in kept) * (1 + 1e-12)


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=9), st.floats(0.1, 3), st.integers(0, 5))
def test_neutral_options_change_nothing(logits, temperature, more):
    z = np.array(logits)
    p = probabilities(z, SamplingOptions(temperature))
    for options in (
        SamplingOptions(temperature, top_p=1.0),
        SamplingOptions(temperature, top_k=len(z) + more),
        SamplingOptions(temperature, repetition_penalty=1.0),
    ):
        recent = [0] if options.repetition_penalty == 1 else []
        np.testing.assert_allclose(probabilities(z, options, recent=recent), p, rtol=1e-12)


@given(
    st.lists(st.one_of(st.floats(-(2.0**127), 2.0**127, width=32), st.floats(-5, 5, width=32)), min_size=2, max_size=8),
    st.one_of(st.just(0.0), st.floats(0, 1e-300), st.floats(0, 1e300)),
    st.one_of(st.none(), st.integers(1, 9)),
    st.one_of(st.none(), st.floats(0, 1, exclude_min=True)),
    st.floats(0.01, 100),
    st.sets(st.integers(0, 7)),
)
@settings(max_examples=150, deadline=None)
def test_extreme_logits_and_options_never_give_nan(logits, temperature, top_k, top_p, penalty, banned_ids):
    banned_ids = {id for id in banned_ids if id < len(logits)}
    if len(banned_ids) == len(logits):
        banned_ids.pop()
    options = SamplingOptions(temperature, top_k, top_p, penalty)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no warnings either
        p = probabilities(np.array(logits, dtype=np.float32), options, banned_ids, [0, 1])
    assert p.dtype == np.float64 and np.isfinite(p).all() and (p >= 0).all()
    assert abs(p.sum() - 1) < 1e-9
    assert not p[list(banned_ids)].any()
    assert top_k is None or np.count_nonzero(p) <= top_k


# ---- draws


def chi_square(counts: np.ndarray, p: np.ndarray) -> float:
    """Return the chi-square of the counts in standard deviations above its mean (by chance at most about 3)."""
    expected = counts.sum() * p[p > 0]
    statistic = float((((counts[p > 0] - expected) ** 2) / expected).sum())
    freedom = np.count_nonzero(p) - 1
    return (statistic - freedom) / math.sqrt(2 * freedom)


@pytest.mark.parametrize(
    ("options", "banned_ids"),
    [
        (plain(), []),
        (plain(temperature=0.5), []),
        (plain(temperature=1.7), [0]),
        (plain(top_k=5), [2]),
        (plain(top_p=0.8), []),
        (SamplingOptions(), [9]),
    ],
)
def test_draws_follow_the_distribution(options, banned_ids):
    logits = np.log(np.arange(1.0, 11.0))
    expected = by_definition(logits.tolist(), options, set(banned_ids), [])
    p = np.array([expected.get(id, 0.0) for id in range(10)])
    rng = np.random.default_rng(20)
    drawn = probabilities(logits, options, banned_ids)
    counts = np.bincount([sample(drawn, rng) for _ in range(20_000)], minlength=10)
    assert not counts[p == 0].any()
    assert chi_square(counts, p) < 4
    assert chi_square(counts, np.roll(p, 1)) > 100  # the test rejects another distribution


class Fixed:
    """Random generator that returns a fixed uniform number."""

    def __init__(self, number: float) -> None:
        self.number = number

    def random(self) -> float:
        return self.number


@pytest.mark.parametrize(
    ("number", "id"), [(0.0, 1), (0.2499, 1), (0.25, 3), (0.7499, 3), (0.75, 4), (np.nextafter(1, 0), 4)]
)
def test_a_uniform_number_selects_its_id(number, id):
    assert sample(np.array([0.0, 0.25, 0.0, 0.5, 0.25, 0.0]), Fixed(number)) == id


@given(
    st.lists(st.one_of(st.just(0.0), st.floats(1e-12, 1)), min_size=1, max_size=40).filter(any),
    st.one_of(st.floats(0, 1, exclude_max=True), st.just(float(np.nextafter(1, 0)))),
)
def test_probability_zero_is_never_drawn(weights, number):
    p = np.array(weights) / sum(weights)
    id = sample(p, Fixed(number))
    assert p[id] > 0
    below = math.fsum(p[:id])
    assert below - 1e-9 <= number <= below + p[id] + 1e-9


# ---- invalid options


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": -0.1},
        {"temperature": math.inf},
        {"temperature": math.nan},
        {"top_k": 0},
        {"top_k": -3},
        {"top_p": 0.0},
        {"top_p": 1.01},
        {"top_p": math.nan},
        {"repetition_penalty": 0.0},
        {"repetition_penalty": -1.0},
        {"repetition_penalty": math.inf},
        {"repetition_penalty": math.nan},
        {"repetition_window": -1},
    ],
)
def test_invalid_values_are_errors(values):
    with pytest.raises(ValueError, match=str(next(iter(values.values())))):
        SamplingOptions(**values)
