"""Text generation: length, posts, prefix, seeds, banned tokens.

The models here are bigrams in the 14 arrays of an LSTM: the hidden state is a one-hot code of the last token, so every
probability in a test is known exactly.
"""

from __future__ import annotations

from functools import cache
from itertools import islice

import numpy as np
import pytest
from helpers import BOUNDARY, END, UNKNOWN, bigram_model, chain_model, joined
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.model import Model
from gluon_lstm.sampling.generator import RAW_LENGTH, TextGenerator, rng_for
from gluon_lstm.sampling.prefix import nearest_known
from gluon_lstm.sampling.sampler import SamplingOptions
from gluon_lstm.sampling.writer import MAX_POST_LENGTH
from gluon_lstm.text import codec as codec_module
from gluon_lstm.text.cleaning import CleaningOptions
from gluon_lstm.text.settings import TextSettings

CHAR, JANOME, CHARS_OF_WORDS = TextSettings("char"), TextSettings("janome"), TextSettings("janome-chars")
RAW = TextSettings(raw=True)
GREEDY = SamplingOptions(temperature=0)
UNSCALED = SamplingOptions(temperature=1)


@pytest.fixture(autouse=True, scope="module")
def one_dictionary():
    """Load the dictionary of Janome once for all tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec_module, "make_tokenizer", cache(codec_module.make_tokenizer))
        yield


def text_of(model: Model, prefix: str = "", options: SamplingOptions = GREEDY, seed: int = 0, k: int = 0, **amount):
    generator = TextGenerator(model, options)
    return joined(generator.stream(generator.prefix(prefix), rng_for(seed, k), **amount))


def tokens_after(model: Model, prefix: str, draws: int, options: SamplingOptions = UNSCALED) -> list[str]:
    """Return the first token after the prefix in each of `draws` independent texts."""
    generator = TextGenerator(model, options)
    read = generator.prefix(prefix)
    firsts = []
    for k in range(draws):
        pieces = generator.stream(read, rng_for(1, k), length=1000)
        first = next(pieces)[len(read.text) :]
        firsts.append(first or next(piece for piece in pieces if piece))
    return firsts


ABC = chain_model(CHAR, [END, "あ", "い", "う", END])


# ---- length


def test_a_post_ends_where_the_model_ends_it():
    assert text_of(ABC) == "あいう\n"
    assert text_of(ABC, posts=3) == "あいう\n" * 3


def test_each_post_begins_with_the_prefix():
    assert text_of(ABC, "い", posts=2) == "いう\n" * 2
    assert text_of(ABC, "あい", posts=2) == "あいう\n" * 2


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 8, 9, 101])
def test_length_counts_characters_after_the_prefix(length):
    rest = "う\n" + "あいう\n" * 30  # an end of post counts as one character, its newline
    assert text_of(ABC, "い", length=length) == "い" + rest[:length] + "\n"


def test_the_last_word_is_cut_at_length():
    model = chain_model(JANOME, [END, "こんにちは", "今日", "は", END])
    whole = "こんにちは今日は\n" * 3
    for length in range(1, 20):
        assert text_of(model, length=length) == whole[:length] + "\n"


def test_word_boundaries_count_no_characters():
    model = chain_model(CHARS_OF_WORDS, [END, "今", "日", BOUNDARY, "は", END])
    assert text_of(model, posts=2) == "今日は\n今日は\n"
    for length in range(1, 9):
        assert text_of(model, length=length) == ("今日は\n" * 3)[:length] + "\n"


def test_raw_text_has_no_posts():
    model = chain_model(RAW, ["\n", "あ", "い", "\r", "\n"])
    assert text_of(model, "あ", length=6) == "あい\r\nあい\r\n"
    assert len(text_of(model, "あ")) == 1 + RAW_LENGTH + 1
    with pytest.raises(ValueError, match=r"`posts`.*`length`"):
        text_of(model, posts=1)


def test_an_endless_post_is_cut_at_the_maximum_length():
    assert text_of(chain_model(CHAR, [END, "ー", "ー"]), posts=1) == "ー" * (MAX_POST_LENGTH - 1) + "\n"


@pytest.mark.parametrize("amount", [{"posts": 1}, {"length": 5}])
def test_word_boundaries_never_repeat(amount):
    """A model that prefers endless boundaries still terminates."""
    model = bigram_model(
        CHARS_OF_WORDS, ["あ"], {END: {BOUNDARY: 1.0}, BOUNDARY: {BOUNDARY: 0.9, "あ": 0.1}, "あ": {END: 1}}
    )
    generator = TextGenerator(model, GREEDY)
    pieces = list(islice(generator.stream(generator.prefix(""), rng_for(0), **amount), 5000))
    assert len(pieces) < 5000 and pieces[-1].endswith("\n")


def test_a_post_is_not_only_a_word_boundary():
    model = bigram_model(
        CHARS_OF_WORDS, ["あ"], {END: {BOUNDARY: 1.0}, BOUNDARY: {END: 0.9, "あ": 0.1}, "あ": {END: 1}}
    )
    assert text_of(model, posts=1) == "あ\n"


# ---- banned tokens


def test_unknown_is_never_generated():
    table = {END: {UNKNOWN: 0.98, "あ": 0.02}, "あ": {UNKNOWN: 0.98, "い": 0.01, END: 0.01}, "い": {UNKNOWN: 1.0}}
    for options in (GREEDY, UNSCALED):
        assert "\ufffd" not in text_of(bigram_model(CHAR, ["あ", "い"], table), options=options, length=300)


@pytest.mark.parametrize("prefix", ["", "い"])
def test_no_post_is_empty(prefix):
    """Not even where the model gives an empty post probability 0.97."""
    nexts = {END: 0.97, "あ": 0.02, "い": 0.01}
    model = bigram_model(CHAR, ["あ", "い"], dict.fromkeys([END, "あ", "い"], nexts))
    for options in (GREEDY, UNSCALED):
        assert text_of(model, prefix, options, length=500).count("\n\n") == 1  # the end of the text
        posts = text_of(model, prefix, options, posts=100).split("\n")[:-1]
        assert len(posts) == 100 and all(len(post) > len(prefix) for post in posts)


def test_only_a_special_token_ends_a_post():
    model = bigram_model(JANOME, ["<post>", "<unk>", "\n", "犬"], {})
    for before, after in ((1, 2), (2, 3), (3, 4), (4, 5), (5, 1)):  # by id: the vocabulary has two tokens named <post>
        model.arrays["Why"][before, after] = 60
    assert text_of(model, posts=2) == "<post><unk>\n犬\n" * 2


# ---- randomness


DICE = {token: dict.fromkeys([END, *"あいうえお"], 1 / 6) for token in [END, *"あいうえお"]}


def test_the_same_seed_gives_the_same_text():
    model = bigram_model(CHAR, "あいうえお", DICE)
    amounts = [{"posts": 5}, {"length": 80}]
    for amount in amounts:
        texts = [text_of(model, "あ", UNSCALED, seed, k, **amount) for seed in range(3) for k in range(3)]
        again = [text_of(model, "あ", UNSCALED, seed, k, **amount) for seed in range(3) for k in range(3)]
        assert texts == again
        assert len(set(texts)) == 9


def test_a_longer_text_begins_with_the_shorter_one():
    model = bigram_model(CHAR, "あいうえお", DICE)
    longest = text_of(model, options=UNSCALED, length=100)
    for length in (1, 50, 99):
        assert text_of(model, options=UNSCALED, length=length) == longest[:length] + "\n"
    posts = text_of(model, options=UNSCALED, posts=9)
    assert posts.startswith(text_of(model, options=UNSCALED, posts=4))


@pytest.mark.parametrize("options", [UNSCALED, SamplingOptions(0.7, top_k=4), SamplingOptions(repetition_penalty=1.5)])
@pytest.mark.parametrize("amount", [{"posts": 1}, {"posts": 3}, {"length": 90}])
def test_texts_of_a_batch_equal_single_texts(options, amount):
    """The texts end, and begin new posts, at different steps."""
    tokens = ["あ", "あい", "い", "うえお"]
    words = bigram_model(JANOME, tokens, {before: dict.fromkeys([END, *tokens], 0.2) for before in [END, *tokens]})
    for model in (bigram_model(CHAR, "あいうえお", DICE), words):
        generator = TextGenerator(model, options)
        prefix = generator.prefix("あ")
        together = generator.generate_batch(prefix, [rng_for(5, k) for k in range(40)], **amount)
        assert together == [joined(generator.stream(prefix, rng_for(5, k), **amount)) for k in range(40)]
        assert len(set(together)) > 10


@given(st.integers(0, 2**70), st.integers(0, 50))
@settings(deadline=None)
def test_text_number_k_is_the_kth_spawn_of_the_seed(seed, k):
    """`rng_for` equals NumPy's `SeedSequence.spawn`, whatever the number of children."""
    child = np.random.SeedSequence(seed).spawn(k + 1)[k]
    assert rng_for(seed, k).integers(2**60) == np.random.Generator(np.random.PCG64(child)).integers(2**60)


def test_options_change_the_distribution():
    table = {END: {"あ": 0.6, "い": 0.3, "う": 0.1}, **{token: {END: 1.0} for token in "あいう"}}
    model = bigram_model(CHAR, "あいう", table)

    def shares(options: SamplingOptions) -> dict[str, float]:
        firsts = tokens_after(model, "", 600, options)
        return {token: firsts.count(token) / 600 for token in "あいう"}

    assert shares(UNSCALED) == pytest.approx({"あ": 0.6, "い": 0.3, "う": 0.1}, abs=0.06)
    assert shares(SamplingOptions(0.5)) == pytest.approx({"あ": 36 / 46, "い": 9 / 46, "う": 1 / 46}, abs=0.06)
    assert shares(SamplingOptions(1, top_k=2)) == pytest.approx({"あ": 2 / 3, "い": 1 / 3, "う": 0}, abs=0.06)
    assert shares(SamplingOptions(1, top_p=0.5)) == {"あ": 1, "い": 0, "う": 0}


def test_repetition_penalty_covers_prefix_and_generated_tokens():
    # Logits are logarithms of probabilities, negative: a penalty of 2 squares the probability of a repeated token.
    nexts = {"あ": 0.5, "い": 0.3, "う": 0.2}
    model = bigram_model(CHAR, "あいう", dict.fromkeys([END, *"あいう"], nexts))
    options = SamplingOptions(temperature=0, repetition_penalty=2.0)
    # あ has 0.25 after the prefix, so い; then い has 0.09, so あ (0.25, う 0.2) from there on.
    assert text_of(model, "あ", options, length=6) == "あいああああ" + "あ\n"
    short = SamplingOptions(temperature=0, repetition_penalty=2.0, repetition_window=1)
    assert text_of(model, "あ", short, length=6) == "あいあいあいあ\n"


# ---- tokenizations of a prefix


def test_an_empty_prefix_begins_a_post():
    assert tokens_after(ABC, "", 3) == ["あ"] * 3


def test_prefix_is_cleaned_like_the_posts():
    letters = [END, "@", " ", "が", "！", "犬", END]
    assert text_of(chain_model(CHAR, letters), "@taro か\u3099！！！！！！") == "@ が！！！犬\n"
    kept = TextSettings("char", cleaning=CleaningOptions(width="keep", mentions="remove", max_repeats=0))
    assert text_of(chain_model(kept, [END, "！", END]), "@taro ！！！！！！").startswith("！！！！！！")
    assert text_of(chain_model(RAW, ["ｗ", "草", "ｗ"]), "@a ｗｗｗｗｗｗ", length=2) == "@a ｗｗｗｗｗｗ草ｗ\n"


def test_trailing_space_of_a_prefix_is_kept():
    model = bigram_model(CHAR, ["犬", " ", "猫"], {"犬": {END: 1.0}, " ": {"猫": 1.0}, "猫": {END: 1.0}})
    assert text_of(model, "犬 ") == "犬 猫\n"


GREETINGS = ["こん", "に", "ち", "こんにちは", "こんにちわ", "は", "今日"]


def greeting(whole: float, thanks: float = 0.5) -> Model:
    """Return a model of こんにちは or こんにちわ (together `whole`) and of こん/に/ち/今日 (1 - `whole`)."""
    return bigram_model(
        JANOME,
        GREETINGS,
        {
            END: {"こんにちは": whole * thanks, "こんにちわ": whole * (1 - thanks), "こん": 1 - whole},
            "こん": {"に": 1.0},
            "に": {"ち": 1.0},
            "ち": {"今日": 1.0},
            "こんにちは": {END: 1.0},
            "こんにちわ": {END: 1.0},
            "今日": {END: 1.0},
        },
    )


def test_partial_word_is_completed_by_probability():
    assert text_of(greeting(0.999, 0.9), "こんにち") == "こんにちは\n"
    assert text_of(greeting(0.999, 0.1), "こんにち") == "こんにちわ\n"
    assert text_of(greeting(1e-9), "こんにち") == "こんにち今日\n"
    assert text_of(greeting(0.999, 0.9), "こんにち", length=2) == "こんにちは\n\n"


def test_tokenization_is_drawn_by_probability():
    firsts = tokens_after(greeting(0.6, 0.75), "こんにち", 800)
    shares = {first: firsts.count(first) / 800 for first in set(firsts)}
    assert shares == pytest.approx({"は": 0.45, "わ": 0.15, "今日": 0.4}, abs=0.055)


def test_a_known_word_may_be_complete_or_partial():
    table = {END: {"今": 0.5, "今日": 0.5}, "今": {"は": 1.0}, "今日": {END: 1.0}, "は": {END: 1.0}}
    firsts = tokens_after(bigram_model(JANOME, ["今", "今日", "は"], table), "今", 600)
    assert firsts.count("日") / 600 == pytest.approx(0.5, abs=0.07)
    assert firsts.count("日") + firsts.count("は") == 600


def test_special_tokens_never_complete_a_partial_word():
    model = bigram_model(JANOME, ["<", "犬"], {END: {END: 1.0, "<": 1e-6}, "<": {"犬": 1.0}, "犬": {END: 1.0}})
    assert text_of(model, "<") == "<犬\n"


def test_trailing_word_boundaries_are_optional():
    """The prefix is tokenized as こん|に|ち; the model was trained on こんにちは as one word."""
    tokens = list("こんにちは今日")
    letters = [END, *"こんにちは", END]
    one = {before: {after: 1.0} for before, after in zip(letters, letters[1:])}
    assert (
        TextGenerator(bigram_model(CHARS_OF_WORDS, tokens, one)).prefix("こんにち").tokenizations[0].ids.count(2) >= 1
    )
    assert text_of(bigram_model(CHARS_OF_WORDS, tokens, one), "こんにち") == "こんにちは\n"
    cut = {**one, "ん": {BOUNDARY: 1.0}, "に": {BOUNDARY: 1.0}, "ち": {"今": 1.0}, "今": {END: 1.0}}
    cut[BOUNDARY] = {"に": 0.5, "ち": 0.5}
    assert text_of(bigram_model(CHARS_OF_WORDS, tokens, cut), "こんにち") == "こんにち今\n"


# ---- unknown characters


def with_notices(model: Model, prefix: str, **amount) -> tuple[str, list[str]]:
    notices: list[str] = []
    generator = TextGenerator(model, GREEDY, notices.append)
    read = generator.prefix(prefix)
    return joined(generator.stream(read, rng_for(0), **amount)), notices


@pytest.mark.parametrize("text_settings", [CHAR, CHARS_OF_WORDS])
def test_unknown_characters_are_named_and_replaced(text_settings):
    model = chain_model(text_settings, [END, "あ", "い", "う", END])
    text, notices = with_notices(model, "ア犬ア")
    assert text == "ア犬アいう\n"  # read as あ, the same kana
    assert len(notices) == 2
    assert "'ア'" in notices[0] and "'あ'" in notices[0]
    assert "'犬'" in notices[1] and "\n" not in notices[1]


def test_unknown_characters_inside_words():
    model = chain_model(JANOME, [END, "犬", "は", "猫", END], "ハ")
    text, notices = with_notices(model, "犬ば")  # は with its voicing mark
    assert text == "犬ば猫\n" and len(notices) == 1 and "'ば'" in notices[0] and "'は'" in notices[0]


@pytest.mark.parametrize("text_settings", [CHAR, JANOME, CHARS_OF_WORDS, RAW])
@pytest.mark.parametrize("prefix", ["☔\ufe0f", "☔\ufe0e", "☔\u200d", "☔🏽", "\ufe0f☔"])
def test_unknown_selectors_and_joiners_of_a_prefix_are_omitted(text_settings, prefix):
    model = chain_model(text_settings, ["☔", "雨", "☔"])
    text, notices = with_notices(model, prefix, length=1)
    assert text == prefix + "雨\n" and notices == []


def test_a_known_emoji_is_not_changed_in_a_prefix():
    model = chain_model(CHAR, ["☔", "❤\ufe0f", "雨", "☔"])
    generator = TextGenerator(model)
    (tokenization,) = generator.prefix("❤\ufe0f☔\ufe0f❤\ufe0f").tokenizations
    assert model.codec.decode(tokenization.ids) == "❤\ufe0f☔❤\ufe0f"


def test_an_emoji_is_read_without_its_skin_tone():
    model = chain_model(CHAR, ["👩\u200d🚀", "雨", "👩"])
    (tokenization,) = TextGenerator(model).prefix("👩🏽\u200d🚀").tokenizations
    assert model.codec.decode(tokenization.ids) == "👩\u200d🚀"
    (tokenization,) = TextGenerator(model).prefix("👩🏽\u200d👩\ufe0f").tokenizations
    assert model.codec.decode(tokenization.ids) == "👩👩"


def test_an_unknown_emoji_is_replaced_and_its_selector_omitted():
    model = chain_model(CHAR, ["☀", "雨", "☀"])
    text, notices = with_notices(model, "☔\ufe0f", length=1)
    assert text == "☔\ufe0f雨\n"
    assert len(notices) == 1 and "'☔'" in notices[0] and "'☀'" in notices[0]


def test_known_characters_need_no_notice():
    assert with_notices(ABC, "いう")[1] == []
    spelled = chain_model(JANOME, [END, "今", "日", END])  # the word 今日 is not known, its characters are
    assert with_notices(spelled, "今日")[1] == []


def test_a_vocabulary_of_one_symbol_still_generates():
    for text_settings in (CHAR, JANOME, CHARS_OF_WORDS, RAW):
        model = bigram_model(text_settings, ["👨\u200d👧"], {END: {"👨\u200d👧": 1.0}} if text_settings != RAW else {})
        text, notices = with_notices(model, "犬が好き", length=6)
        assert text.startswith("犬が好き👨\u200d👧") and notices


@pytest.mark.parametrize(
    ("known", "character", "expected"),
    [
        ("aあ", "ａ", "a"),
        ("aあ", "A", "a"),
        ("Aあ", "a", "A"),
        ("あア1", "①", "1"),
        ("かき", "が", "か"),
        ("あん", "ア", "あ"),
        ("アン", "あ", "ア"),
        ("犬猫", "狗", "犬猫"),
        ("犬あ", "漢", "犬"),
        ("!。", "?", "!"),
    ],
)
def test_the_nearest_known_character(known, character, expected):
    codec = bigram_model(CHAR, sorted(known), {}).codec
    assert nearest_known(character, codec) in expected


@given(st.text(max_size=20), st.sampled_from([CHAR, JANOME, CHARS_OF_WORDS, RAW]))
@settings(max_examples=30, deadline=None)
def test_any_prefix_is_continued_by_exactly_length_characters(prefix, text_settings):
    table = {} if text_settings == RAW else {END: {"あ": 1.0}}
    model = bigram_model(text_settings, ["あ", "い", "\n", "こんにちは"], {**table, "あ": {"い": 0.5, "あ": 0.5}})
    generator = TextGenerator(model, UNSCALED)
    read = generator.prefix(prefix)
    assert text_settings != RAW or read.text == prefix
    text = joined(generator.stream(read, rng_for(4), length=12))
    assert text.startswith(read.text) and len(text) == len(read.text) + 12 + 1
