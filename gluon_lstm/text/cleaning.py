"""From posts as they were written to posts as the model reads them: an ordered list of `str -> str` steps.

>>> Cleaner().clean("@taro_yamada おはよーーーーー！！！！！ｗｗｗｗｗ https://t.co/abc")
'@ おはよーーー!!!www'
>>> Cleaner().clean("RT @hanako: ほかの人のことば") is None
True
>>> list(Cleaner(CleaningOptions(mentions="remove", width="keep")).clean_posts(["@a ﾈｺ＆犬", "", "ﾈｺ＆犬"]))
['ﾈｺ＆犬']

Nothing here normalises Unicode (NFKC would spoil (´・ω・`) and ①) or changes case or spelling.
"""

from __future__ import annotations

import html.entities
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import import_module
from os.path import commonprefix

import jaconv

from gluon_lstm.options import check, option
from gluon_lstm.text.duplicates import SeenPosts

Step = Callable[[str], str]

_CUT = "\ufdd0"  # stands where something was cut out; Unicode has set it aside for uses such as this
# The look-behind tries each run of white space once only: without it a long run costs the square of its length.
_GAPS = re.compile(rf"(?<!\s)(\s*)(?:{_CUT}(\s*))+")


def cut(pattern: str, hints: Iterable[str], post: str) -> str:
    """The post without what the pattern finds; a post with none of the hints is not looked at.

    Of the white space around a cut one side stays, and none at an edge of the post:

    >>> [cut("犬", "犬", post) for post in ("犬 猫", "猫 犬", "猫 犬 鳥", "猫\\n犬 鳥", "猫犬 鳥", " 猫 ")]
    ['猫', '猫', '猫 鳥', '猫\\n鳥', '猫 鳥', ' 猫 ']
    """
    if not any(map(post.__contains__, hints)):
        return post
    marked = _compiled(pattern).sub(_CUT, post)
    return post if marked == post else _GAPS.sub(_one_gap, marked)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # `re` knows neither combining marks nor emoji; only the policies that ask for them pay for importing `regex`.
    return import_module("regex" if r"\p{" in pattern else "re").compile(pattern)


def _one_gap(match: re.Match[str]) -> str:
    before, after = match.groups()
    if match.start() == 0 or match.end() == len(match.string):
        return ""
    return after if not before or ("\n" in after and "\n" not in before) else before


# Only with the semicolon: "&copy" and "?a=1&lang=ja" are text. A chain such as &amp;amp;lt; is taken in one go.
_ENTITY = re.compile(r"&(?:(?:amp|#38|#x26);)*(#[0-9]{1,10}|#[xX][0-9a-fA-F]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});")


def _character(match: re.Match[str]) -> str:
    entity = f"&{match[1]};"
    return html.unescape(entity) if entity[1] == "#" else html.entities.html5.get(entity[1:], entity)


_CONTROL = re.compile(
    "[\0-\x08\x0e-\x1f\x7f-\x9f"  # C0 and C1 but for tab and newline
    "\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"  # soft hyphen, zero-width space, direction marks
    "\ufeff\ufff9-\ufffb\ud800-\udfff\ufdd0-\ufdef"  # byte order mark, annotations, lone surrogates, non-characters
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]+"
)


def remove_controls(post: str) -> str:
    """Without what cannot be seen. Tab, newline and all spaces stay, and the joiners and selectors inside emoji.

    >>> remove_controls("ね\\0こ\\ufeff\\u202e\\u3000👨\\u200d👧\\r\\n犬") == "ねこ\\u3000👨\\u200d👧\\n犬"
    True
    """
    return post if post.isprintable() else _CONTROL.sub("", re.sub("\r\n?|[\v\f\x85\u2028\u2029]", "\n", post))


# ASCII only, for Japanese follows without a space; parentheses in pairs; the last character not a sentence's.
_IN_URL = r"[a-zA-Z0-9_\-.~:/?#@!$&*+,;=%|]"
_REST = rf"(?:{_IN_URL}|\({_IN_URL}*\))*(?:[a-zA-Z0-9_\-~/#@$&+=%]|\({_IN_URL}*\))"
_HOST = r"(?:[a-z0-9][a-z0-9-]*\.)+"
_COMMON = "(?:com|net|org|info|jp|co|be|ly|gl|me|ms|to|tt|tv|io|gg|it|mp)"
_URL = (
    r"(?=[!-~])(?i:(?:"  # the look-ahead passes over Japanese quickly
    r"h?ttps?://t\.co/[a-z0-9]+"  # letters and digits alone: (笑) or (^^) may follow at once
    rf"|(?:h?ttps?|ftp)://{_REST}"
    rf"|h?ttps?://[^\W_][\w-]{{0,62}}(?:\.[\w-]{{1,63}}){{0,8}}\.[a-z]{{2,24}}(?:/{_REST}|/)?"  # http://日本語.jp/
    r"|(?:h?ttps?|ftp)://"
    rf"|(?<![\w.+%-])[a-z0-9_.+%-]+(?<![.%])@{_HOST}[a-z]{{2,24}}"  # mail
    # Without a scheme only what cannot be a word: www., or a common ending and a path. "amazon.comで" is a name.
    rf"|(?<![a-z0-9_.@/-])(?:www\.{_HOST}[a-z]{{2,24}}(?:/{_REST}|/)?|{_HOST}{_COMMON}/{_REST})"
    r")(?:…$)?|https?:?/?…$)"  # as a retweet's end is cut off
)

_NAME = "[A-Za-z0-9_Ａ-Ｚａ-ｚ０-９＿]"
_RT = rf"[RrＲｒQＱ](?<![A-Za-z0-9].)[TtＴｔ][:：]?\s*[@＠]{_NAME}"
# At the beginning with or without a colon; further on only with one, since "フォロー&RT @name で" is the writer's own.
_HEADS, _LATER_HEAD = rf"\A(?:\s*{_RT}+(?:\s?[:：])?)+", rf"{_RT}*\s?[:：]"

# As on Twitter, but also after !#$%&*, which a full-width ！ may have become. Twitter takes no name followed by an @;
# here only one of one or two characters is passed over so, for the sake of faces: (@_@) (＠o＠).
_AT = r"[@＠](?:(?<![A-Za-z0-9_@＠].)|(?<=(?i:RT).))"
_MENTION = rf"{_AT}(?!{_NAME}{{1,2}}[@＠]){_NAME}+(?:[@＠]{_NAME}+)*(?:/[A-Za-z][A-Za-z0-9_-]*)?"
_NAMED = re.compile(_MENTION)


def drop_retweets(post: str) -> str:
    """From "RT @name:" on the words are someone else's, and go: of a post that begins so nothing is left.

    >>> drop_retweets("ほんとそれ RT @taro: 眠い"), drop_retweets("RT @taro: 眠い")
    ('ほんとそれ', '')
    """
    if "@" not in post and "＠" not in post:
        return post
    found = _compiled(_HEADS).match(post) or _compiled(_LATER_HEAD).search(post)
    return post[: found.start()].rstrip() if found else post


# Twitter's letters for a tag, at least one of them no digit; a face such as (#ﾟДﾟ) is none.
_BEFORE_TAG, _IN_TAG = r"(?<![\p{L}\p{Nd}_&/])", r"[\p{L}\p{M}\p{Nd}_\u200c\u200d〜～・·゛゜゠〃]"
_HASHTAG = rf"{_BEFORE_TAG}[#＃](?![\ufe0f\u20e3ﾞﾟ゛゜])(?=[\p{{Nd}}_]*\p{{L}}){_IN_TAG}+"

# Emoji are what is drawn in colour, of itself or asked to by a selector or a skin tone, and the signs commonly typed as
# emoji without the selector; then all that is joined to it. Signs of text (★♪♂♥©) stay.
_ONE = r"(?:\p{Emoji_Presentation}|\p{Emoji}(?=[\ufe0f\p{EMod}])|[☀☁☂☃☎☝☠☹☺✂✈✉✌✍❄❣❤](?!\ufe0e))"
_JOINED = r"(?:[\ufe0f\p{EMod}\U000e0020-\U000e007f]|\u200d\p{Extended_Pictographic}?)*"
_EMOJI = rf"[0-9#*]\ufe0f?\u20e3|(?![0-9#*]){_ONE}{_JOINED}"

# Without ～: in Japanese text that is the wave dash 〜 as Windows writes it, never an ASCII ~. The ideographic space
# stays too, so jaconv.z2h, which folds both, will not do. Half-width kana are those of JIS X 0201, ｡｢｣､･ among them.
_HALF = {chr(full): chr(full - 0xFEE0) for full in range(ord("！"), ord("～"))}
_WIDE = re.compile("[！-｝｡-ﾟ](?:(?<=[｡-ﾟ])[｡-ﾟ]+)?")  # one sign, or a run of kana


def fold_width(post: str) -> str:
    """Full-width ASCII to half, half-width kana to full with its voicing marks, and nothing else.

    >>> fold_width("ＧＯ！　ｶﾞﾝﾊﾞﾚ～ あﾞ ﾜﾞ ①…㍻ (´･ω･｀)")
    'GO!　ガンバレ～ あﾞ ワﾞ ①…㍻ (´・ω・`)'
    """
    return _WIDE.sub(lambda wide: _HALF.get(wide[0]) or jaconv.h2z(wide[0], kana=True, ascii=False, digit=False), post)


# Laughter, long vowels, what ends a shout or trails off, and emoji: what is repeated at will. Digits, other letters
# (すももももももももの), spaces and the strokes of drawings (━━━ ___ ((((  ===) are left alone.
_VOWELS = "あいうえおんアイウエオン"  # in words too (いい, ああ): never cut below three
_REPEATED = (
    "wWｗＷ笑草ーｰ〜～~ぁぃぅぇぉっゃゅょァィゥェォッャュョ!！?？.．。｡、､・･…‥♪☆★♡♥❤"
    "\U0001f300-\U0001f3fa\U0001f400-\U0001f64f\U0001f680-\U0001faff"
)


def limit_runs(longest: int, passing: str = "") -> Step:
    """A step that cuts longer runs; what matches `passing`, an address to be kept, is passed over whole.

    >>> shortener(3)("草草草草草 うおおおおお！！！！！ 10000円....")
    '草草草 うおおお！！！ 10000円...'
    """
    runs = rf"([{_REPEATED}{_VOWELS}]\ufe0f?)\1{{{longest},}}"

    def shorter(match: re.Match[str]) -> str:
        sign = match[1] or match[0]  # match[0]: what is passed over
        return sign * (max(longest, min(3, len(match[0]))) if sign in _VOWELS else longest if match[1] else 1)

    return partial(re.compile(f"{passing}|{runs}" if passing else runs).sub, shorter)


# In their order. Links and names are looked for before widths are folded, since a full-width letter ends them
# (https://t.co/abcｗｗｗ, ４８@name), and after it again, since every change starts the list anew.
POLICIES: dict[str, dict[str, Step | None]] = {
    "entities": {"decode": partial(_ENTITY.sub, _character), "keep": None},
    "controls": {"remove": remove_controls, "keep": None},
    "retweets": {"drop": drop_retweets, "strip": partial(cut, f"{_HEADS}|{_LATER_HEAD}", "@＠"), "keep": None},
    "urls": {"remove": partial(cut, _URL, ("/", "@", "http", "www.")), "keep": None},
    "mentions": {"symbol": partial(_NAMED.sub, "@"), "remove": partial(cut, _MENTION, "@＠"), "keep": None},
    "hashtags": {"keep": None, "remove": partial(cut, _HASHTAG, "#＃")},
    "emoji": {"keep": None, "remove": partial(cut, _EMOJI, ("",))},
    "width": {"fold": fold_width, "keep": None},
    "blanks": {"drop": None, "keep": None},  # of whole posts, not of text
    "duplicates": {"drop": None, "keep": None},
}
TEXT_STEPS = (*(name for name in POLICIES if name not in ("blanks", "duplicates")), "runs")
MAX_REPEATS = 1_000_000  # `re` counts repetitions in 32 bits
_MAX_CHANGES = 32  # of one post, after which the steps are no longer begun anew


@dataclass(frozen=True)
class CleaningOptions:
    """One policy a field, in plain values; `POLICIES` says what is allowed."""

    entities: str = option(
        "decode", "HTML entities such as &amp;", group="cleaning", choices=tuple(POLICIES["entities"])
    )
    controls: str = option(
        "remove", "control characters and NULs", group="cleaning", choices=tuple(POLICIES["controls"])
    )
    retweets: str = option(
        "drop",
        "RT @name: and the words after it, which are other people's; strip: only the head",
        group="cleaning",
        choices=tuple(POLICIES["retweets"]),
    )
    urls: str = option("remove", "links and mail addresses", group="cleaning", choices=tuple(POLICIES["urls"]))
    mentions: str = option("symbol", "@name; symbol: @ alone", group="cleaning", choices=tuple(POLICIES["mentions"]))
    hashtags: str = option("keep", "#tags", group="cleaning", choices=tuple(POLICIES["hashtags"]))
    emoji: str = option("keep", "emoji", group="cleaning", choices=tuple(POLICIES["emoji"]))
    width: str = option(
        "fold", "full-width ASCII and half-width kana", group="cleaning", choices=tuple(POLICIES["width"])
    )
    runs: int = option(
        3,
        "maximum repeats of a character such as ー, ! or w; 0: any number",
        "N",
        "cleaning",
        minimum=0,
        maximum=MAX_REPEATS,
    )
    blanks: str = option("drop", "empty posts", group="cleaning", choices=tuple(POLICIES["blanks"]))
    duplicates: str = option("drop", "posts seen before", group="cleaning", choices=tuple(POLICIES["duplicates"]))

    def __post_init__(self) -> None:
        check(self)

    def steps(self) -> list[tuple[str, Step]]:
        """The text steps these policies ask for, in order."""
        steps = [(name, step) for name in POLICIES for step in [POLICIES[name][getattr(self, name)]] if step]
        kept = ((self.urls, _URL), (self.mentions, _MENTION))
        passing = "|".join(pattern for policy, pattern in kept if policy == "keep")
        return [*steps, ("runs", limit_runs(self.runs, passing))] if self.runs else steps


def apply_until_stable(
    post: str, steps: list[tuple[str, Step]], changed: Callable[[str, str, str], None] | None = None
) -> str:
    """The post when no step changes it any more: each step meets only what all before it have nothing to do with.

    But for posts that were made to be changed for ever (&#65286;#65286;… or a link inside a link inside a link): after
    _MOST_CHANGES the steps that are left come once each, or the time would grow with the square of the length.
    """
    at = changes = 0
    while at < len(steps):
        name, step = steps[at]
        after = step(post)
        if after != post and changed:
            changed(name, post, after)
        changes += after != post
        at, post = at + 1 if after == post or changes > _MAX_CHANGES else 0, after
    return post


# A post of these alone shows nothing: spaces, the joiners and selectors of emoji, the letters that are drawn empty.
_INK = re.compile(r"[^\s\u115f\u1160\u200c\u200d\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]")


class Cleaner:
    """Cleans posts one by one, counts what it did, and remembers what it has seen.

    `counts`, in order: read; posts changed by each step (posts dropped later among them); dropped, by reason; kept.
    read = kept + dropped. `examples` holds up to three (before, after) pairs a step, cut to where they differ.
    """

    def __init__(self, options: CleaningOptions = CleaningOptions()) -> None:
        self.options = options
        self._steps = options.steps()
        # The beginning of a text is its writer's own: a head is taken off, the words stay.
        self._prefix_steps = replace(options, retweets="strip").steps() if options.retweets == "drop" else self._steps
        self._seen = SeenPosts()
        self._changed: set[str] = set()  # the steps that changed the post at hand
        outcomes = ("dropped: retweet", "dropped: blank", "dropped: duplicate", "kept")
        self.counts: dict[str, int] = dict.fromkeys(("read", *TEXT_STEPS, *outcomes), 0)
        self.examples: dict[str, list[tuple[str, str]]] = {name: [] for name in TEXT_STEPS}

    def clean(self, post: str) -> str | None:
        """The clean post, or None when it is dropped."""
        self._changed.clear()
        text = apply_until_stable(post, self._steps, self._note)
        if not text and self.options.retweets == "drop" and "retweets" in self._changed:
            outcome = "dropped: retweet"
        elif self.options.blanks == "drop" and not _INK.search(text):
            outcome = "dropped: blank"
        elif self.options.duplicates == "drop" and not self._seen.add(text):
            outcome = "dropped: duplicate"
        else:
            outcome = "kept"
        self.counts["read"] += 1
        self.counts[outcome] += 1
        return text if outcome == "kept" else None

    def clean_posts(self, posts: Iterable[str]) -> Iterator[str]:
        """The clean posts that are kept."""
        return (text for text in map(self.clean, posts) if text is not None)

    def clean_prefix(self, prefix: str) -> str:
        """The beginning of a text to be continued: the same steps, nothing dropped, its last white space kept.

        >>> Cleaner().clean_prefix("@taro ｶﾞﾝﾊﾞﾚ！！！！！ ")
        '@ ガンバレ!!! '
        """
        body = prefix.rstrip()
        return apply_until_stable(body, self._prefix_steps) + apply_until_stable(
            prefix[len(body) :], self._prefix_steps
        )

    def _note(self, name: str, before: str, after: str) -> None:
        self.counts[name] += name not in self._changed
        self._changed.add(name)
        if len(self.examples[name]) < 3:
            same = len(commonprefix([before, after]))  # noqa: RUF071 -- of characters, as wanted here
            shown = slice(max(0, same - 20), same + 40)
            self.examples[name].append((before[shown], after[shown]))
