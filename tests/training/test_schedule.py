"""Schedule of a run: limits, and what is due after an update, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gluon_lstm.training.recipe import NOTES, STANDARD
from gluon_lstm.training.schedule import Due, Elapsed, Limits, Moment, Schedule

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
    assert due(ends_epoch=True, tokens_since_validation=1999) == NOTHING._replace(record=True)
    assert due(fraction_since_validation=0.02, tokens_since_validation=1999) == NOTHING
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
