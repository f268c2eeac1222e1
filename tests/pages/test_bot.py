"""The page of a bot in a real browser: it writes what Python writes, asks nothing of a network, and does no harm."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from page_models import EVIL, MODELS, WORDS, model_of

from gluon_lstm.cli.main import main
from gluon_lstm.model import Model
from gluon_lstm.pages.bot import export, model_file
from gluon_lstm.pages.options import BotOptions
from gluon_lstm.sampling.generator import TextGenerator, rng_for
from gluon_lstm.sampling.inference_cell import InferenceCell
from gluon_lstm.sampling.sampler import SamplingOptions
from gluon_lstm.text.settings import TextSettings


def stored(model: Model, tmp_path, precision: str = "int8") -> Model:
    """Return the model that the page holds."""
    (tmp_path / "stored").write_bytes(model_file(model, precision))
    return Model.load(tmp_path / "stored")


def written(model: Model, prefix: str, seed: int, options: SamplingOptions, **amount) -> str:
    generator = TextGenerator(model, options)
    return "".join(generator.stream(generator.prefix(prefix), rng_for(seed), **amount))


@pytest.mark.parametrize("name", MODELS)
def test_page_writes_what_python_writes(name, opened, tmp_path):
    """The same text for the same seed with every option of the page, and logits within 1e-3 of the NumPy cell."""
    model = MODELS[name]
    export(model, tmp_path / "bot.html", BotOptions(language="en"))
    python = stored(model, tmp_path)
    raw = model.codec.settings.raw
    prefix = "今日は" if name != "janome-chars" else ""
    with opened(tmp_path / "bot.html") as page:
        ids = [2, 1, 3, 2, 4]
        logits = page.evaluate(
            """(ids) => {
                const lstm = new Lstm(readModel(decode($("model").textContent))), state = lstm.zeroState();
                return ids.map((id) => (lstm.step(state, id), Array.from(lstm.logits(state))));
            }""",
            ids,
        )
        state = InferenceCell(python.arrays, python.config).zero_state()
        for id, found in zip(ids, logits):
            state.step([id])
            np.testing.assert_allclose(found, state.logits()[:, 0], atol=1e-3)
        for seed in range(3):
            amount = {"length": 60} if raw or seed == 2 else {"posts": 4}
            page.fill("#prefix", prefix)
            page.click("details:not([open]) summary") if seed == 0 else None
            page.fill("#seed", str(seed))
            page.select_option("#unit", "length" if "length" in amount else "posts")
            page.fill("#amount", str(*amount.values()))
            options = SamplingOptions()
            if seed == 1:
                options = SamplingOptions(temperature=1.1, top_p=0.9, repetition_penalty=1.3)
                for field, value in (("temperature", 1.1), ("top-p", 0.9), ("penalty", 1.3)):
                    page.fill(f"#{field}", str(value))
            elif seed == 2:
                for field, value in (("temperature", 0.8), ("top-p", 1), ("penalty", 1)):
                    page.fill(f"#{field}", str(value))
            page.click("#write")
            page.wait_for_selector("#text:not([data-writing])")
            assert page.text_content("#text") == written(python, prefix, seed, options, **amount)


def test_random_numbers_are_those_of_numpy(opened, tmp_path):
    export(MODELS["char"], tmp_path / "bot.html", BotOptions())
    cases = [(0, 0), (1, 0), (1, 3), (2**32 - 1, 7), (2**64 + 5, 1)]
    with opened(tmp_path / "bot.html") as page:
        for seed, k in cases:
            found = page.evaluate(
                "([seed, k]) => { const r = new Random(seed, k); return Array.from({ length: 50 }, () => r.next()); }",
                [str(seed), k],
            )
            assert found == rng_for(seed, k).random(50).tolist()


def test_float16_is_read_to_the_bit(opened, tmp_path):
    """All 63,488 finite numbers of float16."""
    export(MODELS["char"], tmp_path / "bot.html", BotOptions())
    bits = np.array([n for n in range(65536) if (n >> 10) & 31 != 31], np.uint16)
    with opened(tmp_path / "bot.html") as page:
        found = page.evaluate("(bits) => bits.map(float16)", bits.tolist())
    np.testing.assert_array_equal(np.float64(found), bits.view(np.float16).astype(np.float64))


def test_hostile_vocabulary_and_name_stay_text(opened, tmp_path):
    model = model_of(TextSettings("janome"), EVIL)
    export(model, tmp_path / "bot.html", BotOptions(name="</title><script>alert(1)</script>", language="ja"))
    python = stored(model, tmp_path)
    with opened(tmp_path / "bot.html") as page:
        page.keyboard.press("Tab")  # the language
        page.keyboard.press("Tab")  # the prefix
        page.keyboard.press("Enter")
        page.wait_for_selector("#text:not([data-writing])")
        assert page.text_content("#text") == written(python, "", 1, SamplingOptions(), posts=5)
        assert page.text_content("h1") == "</title><script>alert(1)</script>"
        assert page.evaluate("document.scripts.length") == 3 and page.evaluate("document.images.length") == 0


@pytest.mark.parametrize("width, scheme", [(390, "light"), (390, "dark"), (1440, "light")])
def test_page_fits_its_width_and_works_by_keyboard(width, scheme, opened, tmp_path):
    export(MODELS["char"], tmp_path / "bot.html", BotOptions(name="長い名前のbot" * 8, language="ja"))
    with opened(tmp_path / "bot.html", viewport={"width": width, "height": 800}, color_scheme=scheme) as page:
        page.focus("#prefix")
        page.keyboard.type("猫が")
        page.keyboard.press("Enter")
        page.wait_for_selector("#text:not([data-writing])")
        assert page.text_content("#text").startswith("猫が")
        page.evaluate("document.querySelector('details').open = true")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.click("#language")
        assert page.text_content("#write") == "Write" and page.evaluate("document.documentElement.lang") == "en"


def test_unknown_characters_are_named(opened, tmp_path):
    export(MODELS["char"], tmp_path / "bot.html", BotOptions(language="en"))
    with opened(tmp_path / "bot.html") as page:
        page.fill("#prefix", "猫龍ハ")  # ハ is read as は
        page.click("#write")
        page.wait_for_selector("#text:not([data-writing])")
        assert page.text_content("#notice").endswith(": 龍")


def test_page_holds_no_more_than_the_model(tmp_path):
    """Neither metadata of the run nor the user dictionary, which may name people."""
    settings = TextSettings(
        "janome", user_dictionary=("山田,1288,1288,4569,名詞,固有名詞,人名,一般,*,*,山田,ヤマダ,ヤマダ",)
    )
    model = replace(model_of(settings, ["今日", "は"]), metadata={"files": ["secret.txt"]})
    content = model_file(model, "int8")
    assert b"secret" not in content and json.dumps("山田")[1:-1].encode() not in content


def test_export_does_not_overwrite_what_it_reads(tmp_path, capsys):
    path = tmp_path / "model.safetensors"
    MODELS["char"].save(path)
    before = path.read_bytes()
    assert main(["export", str(path), "--html", str(path)]) == 2
    assert "use another path for --html" in capsys.readouterr().err and path.read_bytes() == before


def test_export_lists_what_the_vocabulary_gives_away(tmp_path, capsys):
    model = model_of(TextSettings("janome"), [*WORDS, "090-1234-5678", "taro@example.com", "京都"])
    model.save(tmp_path / "model.safetensors")
    posts = tmp_path / "posts.txt"
    posts.write_text("今日は猫がいい天気です\n山田です\n" * 20, encoding="utf-8")
    out = tmp_path / "bot.html"
    assert main(["export", str(tmp_path / "model.safetensors"), "--html", str(out), "--posts", str(posts)]) == 0
    printed = capsys.readouterr().out
    assert "address: taro@example.com" in printed and "number: 090-1234-5678" in printed
    assert "2 that look like name: 山田 京都" in printed
    assert "of 200 samples are copies" in printed and "float16" in printed and out.stat().st_size > 10_000
