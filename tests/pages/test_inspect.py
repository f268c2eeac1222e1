"""The page of gates in a real browser: its numbers are the reference's, its cells and places those that are planted."""

from __future__ import annotations

import errno
import json
import re

import numpy as np
import pytest
from helpers import command_error, reference_step
from page_models import EVIL, MODELS, WORDS, model_of

from gluon_lstm.cli.main import main
from gluon_lstm.config import ModelConfig
from gluon_lstm.lstm import initializers, reference
from gluon_lstm.model import Model
from gluon_lstm.numerics import log_softmax, sigmoid
from gluon_lstm.pages import trace
from gluon_lstm.pages.features import character_features, correlations
from gluon_lstm.pages.inspect import inspect_page, read_text, tokens_of
from gluon_lstm.pages.options import InspectOptions
from gluon_lstm.sampling.evaluation import evaluate_posts
from gluon_lstm.text.pipeline import PostSource
from gluon_lstm.text.settings import TextSettings

TOLERANCE = 2e-3  # of every number in the page
POSTS = ["今日は猫がいい天気です", "「猫がいる」です👨‍👩‍👧", "今日は龍が\nいい"]
ENGLISH = InspectOptions(language="en")
NUMBER = re.compile(r"-?\d+\.\d{3}")


def write_page(path, *models: Model, posts=POSTS):
    """Write the page of models on posts; return its path."""
    text = read_text(PostSource(posts), models[0].codec, ENGLISH.length)
    named = {f"m{n}": model for n, model in enumerate(models)}
    path.write_text(inspect_page(named, text, ENGLISH), encoding="utf-8")
    return path


def ids_of(model: Model, posts=POSTS) -> np.ndarray:
    return tokens_of(read_text(PostSource(posts), model.codec, 2000), model.codec).ids


def states_of(model: Model, ids) -> list[dict[str, np.ndarray]]:
    """Return h and c (T, H) of each layer after each id, by the printed equations in float64, one step at a time."""
    x, layers = np.eye(len(model.vocabulary))[ids], []
    for layer in range(1, model.config.layers + 1):
        W = {name: np.float64(model.arrays[stored]) for name, stored in model.config.names(layer).items()}
        h, c = np.zeros((2, model.config.hidden))
        steps = []
        for row in x:
            h, c = reference_step(model.config.variant, row, h, c, W)
            steps.append((h, c))
        x = np.array([h for h, _ in steps])
        layers.append({"h": x, "c": np.array([c for _, c in steps])})
    return layers


def next_probabilities(model: Model, h: np.ndarray) -> np.ndarray:
    return np.exp(log_softmax(h @ np.float64(model.arrays["Why"]) + model.arrays["by"]))


# ---- numbers


@pytest.mark.parametrize("name", MODELS)
def test_page_shows_the_numbers_of_the_printed_equations(name, opened, tmp_path):
    """c and h of every cell, layer and token; the equations filled in; the likeliest next characters."""
    model, t, cell = MODELS[name], 5, 7
    ids = ids_of(model)
    layers = states_of(model, ids)
    with opened(write_page(tmp_path / "page.html", model)) as page:
        for layer, states in enumerate(layers):
            for quantity in "h" if name == "rnn" else "ch":
                found = page.evaluate(f"Array.from(views[0].trace.layers[{layer}].{quantity})")
                found = np.reshape(found, (len(ids), -1))
                # h = o * c is as large as c; float16 has 11 bits of o
                rtol = 2**-11 if name == "no-output-tanh" and quantity == "h" else 0
                np.testing.assert_allclose(found, states[quantity], atol=TOLERANCE, rtol=rtol)
        page.evaluate(f"views[0].choose({{ cell: {cell} }}), setPlace(views[0], {t})")
        gates = trace.read(ids[:, None], model.arrays, model.config)[-1]
        h, c = (layers[-1][quantity][:, cell] for quantity in "hc")
        expected = {"h": [h[t]]}
        if name != "rnn":
            g, i, f, o = (gates[k][t, 0, cell] for k in "gifo")
            expected = {"g": [g], "i": [i], "f": [f], "o": [o], "c": [f, c[t - 1], i, g, c[t]], "h": [o, c[t], h[t]]}
        rows = page.locator("[data-part=equations] tr").all_inner_texts()
        assert [row[0] for row in rows] == list(expected)
        for row in rows:
            np.testing.assert_allclose(list(map(float, NUMBER.findall(row))), expected[row[0]], atol=TOLERANCE)
        shown = [float(each) for each in page.locator("[data-part=next] data").all_inner_texts()]
        likeliest = np.sort(next_probabilities(model, layers[-1]["h"][t]))[::-1][:10]
        np.testing.assert_allclose(shown[: len(likeliest)], likeliest, atol=TOLERANCE)
        came = float(page.locator("[data-part=next] li.came data").inner_text())
        assert came == pytest.approx(next_probabilities(model, layers[-1]["h"][t])[ids[t + 1]], abs=TOLERANCE)


@pytest.mark.parametrize("name", MODELS)
def test_bits_per_character_are_those_of_evaluate(name, opened, tmp_path):
    """Also with unknown characters; the bits of the kinds of characters add up to the bits of the tokens."""
    model = MODELS[name]
    expected = evaluate_posts(model, POSTS)
    with opened(write_page(tmp_path / "page.html", model, posts=POSTS)) as page:
        shown = page.text_content("[data-part=bits]")
        bits = page.evaluate("Array.from(views[0].bits)")
        parts = page.evaluate("views[0].model.parts")
    # raw text in memory is the text of a file with a line end after each post, also the last
    assert float(shown.split()[0]) == pytest.approx(expected.bpc, abs=1e-3)
    assert sum(bits) == pytest.approx(expected.bpc * expected.characters, rel=1e-4)
    assert sum(part[2] for part in parts) == pytest.approx(sum(bits), rel=1e-6)
    assert sum(part[1] for part in parts) == expected.tokens


def test_rounded_gates_give_c_where_plain_rounding_does_not():
    """20,000 steps with forget gates near 1: c of plain float16 drifts by more than the tolerance."""
    rng = np.random.default_rng(0)
    T, H = 20_000, 32
    gates = {"g": np.tanh(rng.normal(0.3, 1, (T, H))), "i": sigmoid(rng.normal(-5, 1, (T, H)))}
    gates |= {"f": sigmoid(rng.normal(8, 1, (T, H))), "o": sigmoid(rng.normal(0, 1, (T, H)))}

    def cell_state(g, i, f):
        c, states = np.zeros(H), []
        for t in range(T):
            c = f[t] * c + i[t] * g[t]
            states.append(c)
        return np.array(states)

    c = cell_state(*(gates[k] for k in "gif"))
    values = {k: gate[:, None] for k, gate in {**gates, "c": c, "h": gates["o"] * np.tanh(c)}.items()}
    stored = {k: np.float64(gate[:, 0]) for k, gate in trace.rounded(values).items()}
    stored["f"] = trace.f_value(stored["f"])
    plain = cell_state(*(np.float64(np.float16(gates[k])) for k in "gif"))
    assert abs(plain - c).max() > 3 * TOLERANCE
    assert abs(cell_state(*(stored[k] for k in "gif")) - c).max() < TOLERANCE / 2
    for k in "gifo":
        assert abs(stored[k] - gates[k]).max() < TOLERANCE and abs(stored[k]).max() <= 1


def test_stored_forget_gates_keep_their_digits_near_0_and_1():
    """Within half a unit of the last place of f or of 1 - f; never 0 for 1."""
    f = np.concatenate([np.linspace(0, 1, 10_001), 1 - np.logspace(-16, -1, 100), np.logspace(-16, -1, 100)])
    error = abs(trace.f_value(trace.f_code(f)) - f)
    assert (error <= np.maximum(np.minimum(f, 1 - f) * 2.0**-11, 2.0**-24)).all()


def test_full_size_page_is_below_12_megabytes(tmp_path):
    """2,000 characters, one layer of 512 units."""
    model = MODELS["char"]
    config, V = ModelConfig(512), len(model.vocabulary)
    large = Model(config, model.codec, initializers.standard(config, V, np.random.default_rng(0)))
    path = write_page(tmp_path / "page.html", large, posts=[f"今日は猫がいい天気です{n}" for n in range(200)])
    assert 10_000_000 < path.stat().st_size < 12_000_000


# ---- features and correlations


def test_features_are_those_that_a_reader_names():
    text = "猫は「a b」が\n#晴れ！ 空から\n"
    ends = np.array([character == "\n" for character in text])
    found = {name: values.astype(int).tolist() for name, values in character_features(text, ends).items()}
    assert found == {
        "distance": [1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0],
        "quote":    [0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        "kana":     [0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0],
        "kanji":    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0],
        "ascii":    [0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        "hashtag":  [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0],
        "particle": [0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0],
    }  # fmt: skip


def test_correlations_are_pearsons(opened, tmp_path):
    """In Python and in the page; 0 for what is constant."""
    rng = np.random.default_rng(0)
    features, values = rng.standard_normal((3, 40)), rng.standard_normal((40, 5))
    features[1], values[:, 2] = 1, 0.5
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num(np.corrcoef(features, values.T)[:3, 3:])
    np.testing.assert_allclose(correlations(features, values), expected, atol=1e-12)
    assert (expected[1] == 0).all() and (expected[:, 2] == 0).all()
    model = MODELS["char"]
    h = states_of(model, ids_of(model))[-1]["h"]
    with opened(write_page(tmp_path / "page.html", model)) as page:
        found = page.evaluate("Array.from(views[0].trace.correlations(0, 'h', views[0].trace.series(0, 'h', 3)))")
        np.testing.assert_allclose(found, np.corrcoef(h.T)[3], atol=TOLERANCE)
        distance = page.evaluate("Array.from(views[0].featureRow('h', 0))")
    text = read_text(PostSource(POSTS), model.codec, 2000)
    at_tokens = np.append(0, character_features(*text)["distance"])[tokens_of(text, model.codec).ends]
    np.testing.assert_allclose(distance, np.corrcoef(at_tokens, h.T)[0, 1:], atol=TOLERANCE)


def test_heat_map_and_lists_put_the_right_cells_first(opened, tmp_path):
    """By variance, by correlation with a cell, a selected part and a feature; the best cell of a feature."""
    model = MODELS["char"]
    ids = ids_of(model)
    c = states_of(model, ids)[-1]["c"]
    text = read_text(PostSource(POSTS), model.codec, 2000)
    kanji = np.append(0, character_features(*text)["kanji"])[tokens_of(text, model.codec).ends]
    selected = (np.arange(len(ids)) >= 3) & (np.arange(len(ids)) < 8)
    with opened(write_page(tmp_path / "page.html", model)) as page:
        page.evaluate("views[0].choose({ cell: 5, quantity: 'c' }), setStretch(views[0], [3, 8])")
        for order, keys in {
            "variance": c.var(axis=0),
            "cell": np.corrcoef(c.T)[5],
            "stretch": np.corrcoef(selected, c.T)[0, 1:],
            "kanji": np.corrcoef(kanji, c.T)[0, 1:],
        }.items():
            page.select_option("[data-part=order]", order)
            sorted_keys = keys[page.evaluate("views[0].order")]
            assert (np.diff(sorted_keys) < 1e-2).all() and sorted_keys[0] > keys.max() - 1e-2
        values = trace.read(ids[:, None], model.arrays, model.config)[0]
        best = max(abs(np.corrcoef(kanji, values[k][:, 0].T)[0, 1:]).max() for k in values)
        row = page.locator("[data-part=features] tr").nth(3)
        assert row.inner_text().startswith("kanji")
        quantity, cell, r = row.locator("button").first.inner_text().replace("−", "-").split()
        assert abs(float(r)) == pytest.approx(best, abs=0.01)
        row.locator("button").first.click()
        assert page.evaluate("[views[0].quantity, `${views[0].cell}`]") == [quantity, cell]


# ---- what is on in a selected part


def synthetic(page, values: np.ndarray, expression: str):
    """Return the value of an expression about `made`, a Trace of the simple RNN with h (T, H)."""
    layer = {"h": trace.packed(values, "F32")}
    made = f"const made = new Trace({{ variant: 'rnn', hidden: {values.shape[1]}, layers: [{json.dumps(layer)}] }});"
    return page.evaluate(f"(() => {{ {made} return {expression}; }})()")


def test_threshold_separates_two_groups_of_values(opened, tmp_path):
    """It has the largest variance between groups of all limits of bins (Otsu 1979)."""
    rng = np.random.default_rng(0)
    groups = np.concatenate([rng.normal(-0.6, 0.05, 90), rng.normal(0.4, 0.05, 30)])
    values = np.stack([groups, rng.random(120), np.full(120, 0.25)], axis=1)
    with opened(write_page(tmp_path / "page.html", MODELS["char"])) as page:
        found = synthetic(page, values, "made.statistics(0, 'h').map((cell) => cell.threshold)")
    assert groups[:90].max() <= found[0] <= groups[90:].min() and found[2] == 0.25

    def between(x, limit):
        low, high = x[x < limit], x[x >= limit]
        return len(low) * len(high) * (high.mean() - low.mean()) ** 2 if len(low) and len(high) else 0

    for x, limit in zip(np.float32(values.T[:2]), found):
        limits = np.linspace(x.min(), x.max(), 65)[1:-1]
        assert between(x, limit) > 0.95 * max(between(x, each) for each in limits)


def test_planted_cells_and_places_are_found(opened, tmp_path):
    """Cell 4 is on in the selected part and in two other places, cell 9 is off there; the others do not care."""
    rng = np.random.default_rng(0)
    values = rng.uniform(-0.2, 0.2, (300, 12))
    for from_, to in ((50, 60), (120, 126), (200, 203)):
        values[from_:to, 4] = 0.9
        values[from_:to, 9] = -0.9
    with opened(write_page(tmp_path / "page.html", MODELS["char"])) as page:
        found = synthetic(page, values, "made.like(0, 'h', 50, 60, 0)")
        assert {(each["cell"], each["on"]) for each in found["cells"]} == {(4, True), (9, False)}
        assert found["places"] == [{"from": 120, "to": 126}, {"from": 200, "to": 203}]
        nothing = synthetic(page, rng.random((300, 12)), "made.like(0, 'h', 50, 100, 0)")
        assert nothing == {"cells": [], "places": []}


def test_selection_with_the_mouse_marks_the_part_and_names_it(opened, tmp_path):
    with opened(write_page(tmp_path / "page.html", MODELS["char"])) as page:
        first, last = (page.locator("[data-part=text] span").nth(n).bounding_box() for n in (2, 5))
        page.mouse.move(first["x"] + 2, first["y"] + first["height"] / 2)
        page.mouse.down()
        page.mouse.move(last["x"] + last["width"] - 2, last["y"] + last["height"] / 2, steps=5)
        page.mouse.up()
        assert page.locator(".stretch").all_inner_texts() == ["日", "は", "猫", "が"]
        assert "日は猫が" in page.text_content("[data-part=stretch-note]")


# ---- the page


def test_a_character_that_is_pointed_at_is_shown(opened, tmp_path):
    with opened(write_page(tmp_path / "page.html", MODELS["char"])) as page:
        page.locator("[data-part=text] span").nth(4).hover()
        assert page.text_content("[data-part=place]").startswith("After 猫")
        assert page.locator(".here").all_inner_texts() == ["猫"]
        (came,) = page.locator("[data-part=next] li.came bdi").all_inner_texts()
        assert came == "が"


def test_two_models_share_the_place_and_the_selected_part(opened, tmp_path):
    """Characters beside words: the same characters of the text are shown and selected."""
    path = write_page(tmp_path / "page.html", MODELS["char"], MODELS["janome"], posts=["今日は猫がいい"])
    with opened(path) as page:
        texts = page.evaluate("views.map((view) => view.model.texts)")
        assert texts == [["", *"今日は猫がいい", "\n"], ["", "今日", "は", "猫", "が", "いい", "\n"]]
        page.evaluate("setPlace(views[0], 2), setStretch(views[0], [4, 6])")
        assert page.evaluate("views.map((view) => view.t)") == [2, 1]
        assert page.evaluate("views.map((view) => view.stretch)") == [[4, 6], [3, 5]]
        page.evaluate("setPlace(views[1], 5)")
        assert page.evaluate("views.map((view) => view.t)") == [6, 5]
        first, second = page.evaluate("views.map((view) => Array.from(view.bits))")
        shared = {"は": first[3] - second[2], "猫": first[4] - second[3], "が": first[5] - second[4]}
        shared["⏎"] = first[8] - second[6]
        for number, sign in enumerate((1, -1)):
            listed = page.locator("[data-part=differences]").nth(number).locator("button").all_inner_texts()
            found = {token: float(amount) for token, amount in map(str.split, listed)}
            more = {token: sign * bits for token, bits in shared.items() if sign * bits > 0}
            assert found == pytest.approx(more, abs=0.01)


@pytest.mark.parametrize("width, scheme", [(390, "light"), (390, "dark"), (1440, "light"), (1440, "dark")])
def test_page_fits_its_width_and_works_by_keyboard(width, scheme, opened, tmp_path):
    path = write_page(tmp_path / "page.html", MODELS["char"], MODELS["rnn"])
    with opened(path, viewport={"width": width, "height": 800}, color_scheme=scheme) as page:
        page.focus("[data-part=text] >> nth=0")
        start = page.evaluate("views[0].t")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("views.map((view) => view.t)") == [start + 1, start + 1]
        cell = page.evaluate("views[0].cell")
        page.keyboard.press("ArrowDown" if cell == 0 else "ArrowUp")
        assert abs(page.evaluate("views[0].cell") - cell) == 1
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        assert page.evaluate("views[0].stretch") == [start + 1, start + 4]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.keyboard.press("Escape")
        assert page.evaluate("views[0].stretch") is None
        page.focus("[data-part=quantities] input:checked")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("views[0].quantity") == "h"
        page.focus("#language")
        page.keyboard.press("Enter")
        assert page.text_content("h1") == "ネットワークの中身"
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lightness_grows_with_the_value_and_ink_is_legible(scheme, opened, tmp_path):
    """Relative luminance and contrast as WCAG 2 defines them."""
    with opened(write_page(tmp_path / "page.html", MODELS["char"]), color_scheme=scheme) as page:
        shades = np.array(page.evaluate("Array.from({ length: 256 }, (_, n) => shade(n / 255))")) / 255
        inks = page.evaluate("Array.from({ length: 256 }, (_, n) => inked(n / 255).color)")
    linear = np.where(shades <= 0.04045, shades / 12.92, ((shades + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) * (1 if scheme == "dark" else -1) > -1e-9).all()
    assert abs(luminance[-1] - luminance[0]) > 0.85
    ink = np.array([1.0 if color == "#fff" else 0.0 for color in inks])
    contrast = (np.maximum(ink, luminance) + 0.05) / (np.minimum(ink, luminance) + 0.05)
    assert contrast.min() >= 4.5


def test_hostile_text_and_vocabulary_stay_text(opened, tmp_path):
    model = model_of(TextSettings("janome"), EVIL)
    posts = ["".join(EVIL) + "\u202e" + '"<b>' + "x" * 3000]
    text = read_text(PostSource(posts), model.codec, 5000)
    path = tmp_path / "page.html"
    path.write_text(inspect_page({"</bdi><script>alert(1)</script>\u202e": model}, text, ENGLISH), encoding="utf-8")
    with opened(path, viewport={"width": 390, "height": 800}) as page:
        page.focus("[data-part=text]")
        for _ in range(30):
            page.keyboard.press("Shift+ArrowRight")
        assert page.evaluate("views[0].model.texts.join('')") == text.characters
        assert page.text_content("[data-part=name]") == "</bdi><script>alert(1)</script>\u202e"
        assert page.evaluate("document.scripts.length") == 3
        assert page.evaluate("document.querySelectorAll('b').length - document.querySelectorAll('li b').length") == 0
        assert "\u202e" not in page.inner_text("[data-part=text]")  # its code point is written
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_page_holds_what_the_text_needs_and_not_the_vocabulary(tmp_path):
    model = model_of(TextSettings("janome"), [*WORDS, *(f"秘密{n}" for n in range(500))])
    path = write_page(tmp_path / "page.html", model, posts=["今日は猫"])
    data = path.read_text(encoding="utf-8").partition('id="data">')[2]
    # ten next tokens after each of the five tokens
    assert 0 < len(set(re.findall(r"\\u79d8\\u5bc6\d+", data))) <= 50


# ---- the command


@pytest.fixture
def saved(tmp_path):
    """saved(name): the file of a model."""

    def save(name: str):
        MODELS[name].save(tmp_path / f"{name}.safetensors")
        return str(tmp_path / f"{name}.safetensors")

    return save


def test_command_writes_a_page_of_a_text_a_file_or_its_own_text(saved, opened, tmp_path, capsys):
    posts = tmp_path / "posts.txt"
    posts.write_text("今日は猫がいい\n猫がいる\n", encoding="utf-8")
    out = tmp_path / "page.html"
    for given, expected in ((["--text", "猫 が"], "猫 が\n"), (["--file", str(posts)], "今日は猫がいい\n猫がいる\n")):
        assert main(["inspect", saved("char"), *given, "--out", str(out)]) == 0
        with opened(out) as page:
            assert page.evaluate("views[0].model.texts.join('')") == expected
            assert page.text_content("[data-part=name]") == "char.safetensors"
    assert main(["inspect", saved("raw"), "--out", str(out)]) == 0
    with opened(out) as page:
        assert page.evaluate("views[0].trace.T") > 100
    capsys.readouterr()
    assert main(["inspect", saved("char"), "--file", str(posts), "--length", "3", "--out", str(out)]) == 0
    assert "first 3 characters of the text; --length" in capsys.readouterr().err
    with opened(out) as page:
        assert page.evaluate("views[0].model.texts") == ["", "今", "日", "は"]


def test_what_cannot_be_shown_gets_one_sentence(saved, tmp_path, capsys, monkeypatch):
    char, out, empty = saved("char"), str(tmp_path / "page.html"), tmp_path / "empty.txt"
    empty.write_text("", encoding="utf-8")
    assert "empty" in command_error(capsys, "inspect", saved("raw"), "--file", str(empty), "--out", out)
    assert "no post is left" in command_error(capsys, "inspect", char, "--text", "", "--out", out)
    assert "--length 0" in command_error(capsys, "inspect", char, "--length", "0", "--out", out)
    assert "no such" in command_error(capsys, "inspect", "no such", "--out", out)
    posts = tmp_path / "posts.txt"
    posts.write_text("今日は\n", encoding="utf-8")
    assert "one of the files read" in command_error(capsys, "inspect", char, "--file", str(posts), "--out", str(posts))
    assert "one of the files read" in command_error(capsys, "inspect", char, "--out", char)
    monkeypatch.setattr("gluon_lstm.pages.inspect.MAX_GATE_BYTES", 1000)
    error = command_error(capsys, "inspect", char, "--text", "今日は猫がいい", "--out", out)
    assert "--length 8" in error and "use at most 5" in error
    assert not (tmp_path / "page.html").exists()


def test_interrupted_run_leaves_no_file(saved, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    char = saved("char")
    before = sorted(path.name for path in tmp_path.iterdir())
    monkeypatch.setattr("os.fsync", full)
    out = tmp_path / "page.html"
    assert main(["inspect", char, "--text", "今日は", "--out", str(out)]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == before


# ---- digits


def test_digits_page_shows_what_the_classifier_answers_after_each_row(opened, tmp_path):
    pytest.importorskip("sklearn")
    from gluon_lstm.digits.images import Images, load, rows
    from gluon_lstm.digits.inspect import deciding_rows, digits_page
    from gluon_lstm.digits.recipe import NOTES, STANDARD

    images = Images(*(part[:12] for part in (load()[1].pixels, load()[1].labels)))
    for recipe in (STANDARD, NOTES):
        rng = np.random.default_rng(3)
        W = {name: 0.4 * rng.standard_normal(shape) for name, shape in recipe.config.shapes(10, 8).items()}
        x = rows(images.pixels, recipe.white)
        p = []  # by reading only the first rows
        for row in range(1, 9):
            zero = np.zeros((len(images), recipe.hidden))
            _, h, _, _ = reference.forward(x[:row], zero, zero, W, recipe.config)
            z = h @ W["Why"] + W["by"]
            p.append(np.exp(log_softmax(np.tanh(z) if recipe.bounded_logits else z)))
        p = np.stack(p, axis=1)  # (N, 8, 10)
        path = tmp_path / "digits.html"
        path.write_text(digits_page(images, W, recipe), encoding="utf-8")
        with opened(path, viewport={"width": 390, "height": 800}) as page:
            np.testing.assert_allclose(page.evaluate("Array.from(p)"), p.ravel(), atol=TOLERANCE)
            found = page.evaluate("Array.from(trace.layers[0].h)")
            h = trace.read(x, W, recipe.config)[0]["h"].transpose(1, 0, 2)
            np.testing.assert_allclose(found, h.ravel(), atol=TOLERANCE)
            picture, decided = page.evaluate("[state.picture, decided[state.picture]]")
            marked = page.locator("#rows tbody tr").all_inner_texts()
            assert [text.startswith("▸") for text in marked] == [row == decided for row in range(8)]
            page.focus("#rows")
            for _ in range(8):
                page.keyboard.press("ArrowUp")
            assert page.evaluate("state.row") == 0
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
        answers = p.argmax(axis=2)
        for n, row in enumerate(deciding_rows(p)):
            assert (answers[n, row:] == answers[n, -1]).all() and (row == 0 or answers[n, row - 1] != answers[n, -1])
        assert decided == deciding_rows(p)[picture]


def test_digits_command_writes_the_page_only_when_asked(tmp_path, capsys):
    pytest.importorskip("sklearn")
    small = ["--epochs", "1", "--hidden", "4"]
    assert main(["digits", "--out", str(tmp_path / "a"), *small]) == 0
    assert main(["digits", "--out", str(tmp_path / "b"), "--inspect", *small]) == 0
    assert "inspect.html" in capsys.readouterr().err
    assert not (tmp_path / "a" / "inspect.html").exists()
    assert (tmp_path / "b" / "inspect.html").stat().st_size > 100_000
