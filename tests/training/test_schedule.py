"""Schedule of a run: limits, what is due after an update, and learning rates, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from gluon_lstm.training.recipe import NOTES, STANDARD
from gluon_lstm.training.schedule import Due, Elapsed, Limits, Moment, Schedule, learning_rate

NOW = Moment(
    steps=7, ends_epoch=False, ends_run=False, fraction_since_validation=0.0, tokens_since_validation=10_000,
    fraction_since_sample=0.0, seconds_since_checkpoint=0.0,
)  # fmt: skip
NOTHING = Due(validation=False, record=False, sample=False, checkpoint=False)


def due(schedule=None, recipe=STANDARD, validation_tokens=100, **values):
    return (schedule or Schedule()).due(NOW._replace(**values), recipe, validation_tokens)


def test_progress_follows_the_nearest_limit():
    limits = Limits.of(replace(STANDARD, steps=100, epochs=3, minutes=1.0), steps_per_epoch=20)
    assert (limits.steps, limits.seconds) == (60, 60.0)
    assert limits.progress(Elapsed(30, 12.0)) == 0.5
    assert limits.progress(Elapsed(30, 45.0)) == 0.75
    assert limits.progress(Elapsed(61, 45.0)) == 1.0
    assert limits.seconds_left(Elapsed(30, 45.0), seconds_per_update=0.1) == pytest.approx(3.0)


def test_nothing_is_due_between_intervals():
    assert due() == NOTHING


def test_records_at_least_every_50_updates():
    assert due(steps=50) == due(steps=100) == NOTHING._replace(record=True)


def test_end_of_run_validates_records_and_samples():
    assert due(ends_run=True) == Due(validation=True, record=True, sample=True, checkpoint=False)
    assert due(ends_run=True, validation_tokens=0) == Due(validation=False, record=True, sample=True, checkpoint=False)


def test_validation_at_epoch_end_or_interval_if_affordable():
    assert due(ends_epoch=True) == due(fraction_since_validation=0.02) == Due(True, True, False, False)
    assert due(ends_epoch=True, tokens_since_validation=999) == NOTHING._replace(record=True)
    assert due(fraction_since_validation=0.02, tokens_since_validation=999) == NOTHING
    assert due(Schedule(validate_epochs=False), ends_epoch=True) == NOTHING._replace(record=True)


def test_samples_follow_the_recipe():
    every_7 = replace(STANDARD, sample_every=7)
    assert due(recipe=every_7).sample and not due(recipe=every_7, steps=8, ends_run=True).sample
    assert due(recipe=NOTES, ends_epoch=True).sample and not due(recipe=NOTES, fraction_since_sample=0.5).sample
    assert due(fraction_since_sample=0.05).sample and not due(fraction_since_sample=0.04, ends_epoch=True).sample


def test_checkpoints_by_training_time():
    assert due(seconds_since_checkpoint=60.0) == NOTHING._replace(checkpoint=True)
    assert due(Schedule(checkpoint_minutes=0.5), seconds_since_checkpoint=30.0).checkpoint
    with pytest.raises(ValueError, match="`checkpoint_minutes` 0"):
        Schedule(checkpoint_minutes=0)


def test_halving_schedule_equals_the_notes():
    rate = 2.0  # loop of notes 003, verbatim
    for e in range(2000):
        if (e + 1) % 100 == 0:
            rate = rate / 2.0
        assert learning_rate(NOTES, e, e / 2000) == rate
    for epoch, wanted in [(0, 2.0), (98, 2.0), (99, 1.0), (100, 1.0), (198, 1.0), (199, 0.5), (200, 0.5)]:
        assert learning_rate(NOTES, epoch, 0.5) == wanted


def test_constant_schedule():
    recipe = replace(STANDARD, schedule="constant", learning_rate=0.3)
    assert {learning_rate(recipe, epoch, done) for epoch in (0, 99, 500) for done in (0.0, 0.01, 0.5, 1.0)} == {0.3}


def test_cosine_schedule():
    recipe = replace(STANDARD, schedule="cosine", learning_rate=0.4, warmup=0.2)
    rate = [learning_rate(recipe, 7, k / 1000) for k in range(1001)]
    assert 0 < rate[0] <= 0.4 / 50
    assert rate[50] == pytest.approx(0.1)
    assert rate[100] == pytest.approx(0.2)
    assert rate[200] == max(rate) == 0.4
    assert rate[400] == pytest.approx(0.2 * (1 + math.cos(math.pi / 4)))
    assert rate[600] == pytest.approx(0.2)
    assert 0 <= rate[1000] <= 0.4 / 500
    assert rate[:201] == sorted(rate[:201])
    assert rate[200:] == sorted(rate[200:], reverse=True)


def test_cosine_schedule_without_warmup():
    recipe = replace(STANDARD, schedule="cosine", learning_rate=0.4, warmup=0.0)
    assert learning_rate(recipe, 0, 0.0) == 0.4
