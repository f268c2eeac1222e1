"""Labels of figures: in the language in use, in a font that has them."""

from __future__ import annotations

import warnings

import pytest

from gluon_lstm import figures
from gluon_lstm.language import use
from gluon_lstm.training.history import Record, draw


@pytest.fixture
def drawn(tmp_path):
    """Return a function that draws the curve of a run and returns its PNG; a missing glyph is an error."""

    def draw_curve() -> bytes:
        records = [Record(n, 0, 60.0 * n, 9 * n, moving_loss=5 - n / 9, val_loss=6 - n / 9) for n in range(1, 4)]
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*[Gg]lyph")
            draw(records, tmp_path / "curve.png", {"uniform": 5.2})
        return (tmp_path / "curve.png").read_bytes()

    return draw_curve


def test_labels_are_in_the_language_in_use(drawn):
    import matplotlib

    before, english = dict(matplotlib.rcParams), drawn()
    with use("ja"):
        assert drawn() != english
    assert drawn() == english and dict(matplotlib.rcParams) == before


def test_labels_are_english_without_the_japanese_font(drawn, monkeypatch):
    english = drawn()
    monkeypatch.setattr(figures, "find_spec", lambda name: None)
    with use("ja"):
        assert drawn() == english
