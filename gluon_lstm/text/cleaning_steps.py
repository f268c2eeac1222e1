"""Steps of cleaning: `str -> str` functions, and the policies that choose them."""

from __future__ import annotations

import html.entities
import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache, partial
from importlib import import_module

import jaconv

Step = Callable[[str], str]

_REMOVED = "\ufdd0"  # placeholder of removed text: a Unicode noncharacter, reserved for internal use
# The look-behind tries each run of white space once. Without it the time is quadratic in the length of the run.
_REMOVED_WITH_SPACE = re.compile(rf"(?<!\s)(\s*)(?:{_REMOVED}(\s*))+")


def remove_matches(pattern: str, hints: Iterable[str], post: str, protected: str = "") -> str:
    """Return the post without the matches of `pattern`. A post that contains none of `hints` is returned unchanged.

    Matches of `protected` (without groups) are kept whole.

    Of the white space around a removed match one side is kept, and none at the edges of the post:

    >>> [remove_matches("犬", "犬", post) for post in ("犬 猫", "猫 犬", "猫 犬 鳥", "猫\\n犬 鳥", "猫犬 鳥", " 猫 ")]
    ['猫', '猫', '猫 鳥', '猫\\n鳥', '猫 鳥', ' 猫 ']
    """
    if not any(map(post.__contains__, hints)):
        return post
    if protected:
        marked = _compile(f"({protected})|{pattern}").sub(lambda match: match[1] or _REMOVED, post)
    else:
        marked = _compile(pattern).sub(_REMOVED, post)
    return post if marked == post else _REMOVED_WITH_SPACE.sub(_remaining_space, marked)


@cache
def _compile(pattern: str) -> re.Pattern[str]:
    # `re` has no classes for combining marks and emoji. `regex` is imported only for the policies that need them.
    return import_module("regex" if r"\p{" in pattern else "re").compile(pattern)


def _remaining_space(match: re.Match[str]) -> str:
    before, after = match.groups()
    if match.start() == 0 or match.end() == len(match.string):
        return ""
    return after if not before or ("\n" in after and "\n" not in before) else before


# The semicolon is required: "&copy" and "?a=1&lang=ja" are text. A chain such as &amp;amp;lt; is one match.
_ENTITY = re.compile(r"&(?:(?:amp|#38|#x26);)*(#[0-9]{1,10}|#[xX][0-9a-fA-F]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});")


def _decode_entity(match: re.Match[str]) -> str:
    entity = f"&{match[1]};"
    return html.unescape(entity) if entity[1] == "#" else html.entities.html5.get(entity[1:], entity)


_CONTROL_CHARS = re.compile(
    "[\0-\x08\x0e-\x1f\x7f-\x9f"  # C0 and C1 except tab and newline
    "\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"  # soft hyphen, zero-width space, direction marks
    "\ufeff\ufff9-\ufffb\ud800-\udfff\ufdd0-\ufdef"  # byte order mark, annotations, lone surrogates, noncharacters
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]+"
)


def remove_control_chars(post: str) -> str:
    """Return the post without invisible characters; line separators become newlines.

    Kept are tab, newline, all spaces, and the joiners and variation selectors inside emoji.

    >>> remove_control_chars("ね\\0こ\\ufeff\\u202e\\u3000👨\\u200d👧\\r\\n犬") == "ねこ\\u3000👨\\u200d👧\\n犬"
    True
    """
    return post if post.isprintable() else _CONTROL_CHARS.sub("", re.sub("\r\n?|[\v\f\x85\u2028\u2029]", "\n", post))


# ASCII only, since Japanese text is adjacent without a space. Parentheses come in pairs. Final punctuation is excluded.
# Full-width :/.@ are accepted as parts of an address: `width` may fold the letters alone.
_URL_CHAR = r"[a-zA-Z0-9_\-.~:/?#@!$&*+,;=%|．／]"
_URL_REST = rf"(?:{_URL_CHAR}|\({_URL_CHAR}*\))*(?:[a-zA-Z0-9_\-~/#@$&+=%／]|\({_URL_CHAR}*\))"
_SCHEME, _DOT, _SLASH = "[:：][/／]{2}", "[.．]", "[/／]"
_PICTURE = rf"pic{_DOT}(?:twitter|x){_DOT}com"
# The start of a link ends the link before it, where Twitter's clients write both without a space.
_IN_LINK = rf"(?!h?ttps?{_SCHEME}|{_PICTURE}{_SLASH}|www\.)"
_HOST = rf"(?:[a-z0-9](?:{_IN_LINK}[a-z0-9-])*{_DOT}{_IN_LINK})+"
_TLD = rf"(?:{_IN_LINK}[a-z]){{2,24}}"
_COMMON_TLD = "(?:com|net|org|info|jp|co|be|ly|gl|me|ms|to|tt|tv|io|gg|it|mp)"
URL = (
    r"(?=[!-~])(?i:(?:"  # the look-ahead skips Japanese quickly
    # letters and digits only: (笑) or (^^) may follow directly
    rf"(?:h?ttps?{_SCHEME}t{_DOT}co|{_PICTURE}){_SLASH}(?:{_IN_LINK}[a-z0-9])+"
    rf"|(?:h?ttps?|ftp){_SCHEME}{_URL_REST}"
    rf"|h?ttps?{_SCHEME}[^\W_][\w-]{{0,62}}(?:{_DOT}[\w-]{{1,63}}){{0,8}}{_DOT}{_TLD}(?:/{_URL_REST}|/)?"  # 日本語.jp/
    rf"|(?:h?ttps?|ftp){_SCHEME}"
    rf"|(?<![a-z0-9_.+%-])[a-z0-9_.+%-]+(?<![.%])[@＠]{_HOST}{_TLD}"  # mail
    # Without a scheme: www., or a common top-level domain and a path. "amazon.comで" is a name, not a link.
    rf"|(?<![a-z0-9_.．@＠/／-])(?:www\.{_HOST}{_TLD}(?:/{_URL_REST}|/)?|{_HOST}{_COMMON_TLD}{_SLASH}{_URL_REST})"
    r")(?:…$)?|https?:?/?…$)"  # a link truncated at the end of a retweet
)

# Telephone numbers of Japan and postal codes, in ASCII or full-width digits. A number is removed when its digits are
# grouped as area, local and last part by hyphens or parentheses, or when it is a mobile number (0[5-9]0) with spaces or
# without separators. Not recognized: landline numbers without separators or with spaces or dots, other countries,
# extensions. Longer runs of digits and hyphens are left alone (ISBN, card and serial numbers), and so are dates and
# prices. Without 〒 a postal code is any 123-4567 that no digit, hyphen, ASCII letter, currency or counter touches.
_DIGITS, _HYPHENS = "0-9０-９", r"\-‐‑‒–—―−─ーｰ－﹣"
_D, _H, _OPEN, _CLOSE = f"[{_DIGITS}]", f"[{_HYPHENS}]", "[(（]", "[)）]"
_JOIN = f"[ \u3000]?{_H}[ \u3000]?"
_JOIN_OR_SPACE = f"(?:{_JOIN}|[ \u3000])"
_PHONE_GROUPS = ((2, 4, 4), (3, 3, 4), (3, 4, 4), (4, 2, 4), (4, 3, 3), (4, 3, 4), (5, 1, 4))  # digits of each part
_DOMESTIC = "|".join(
    f"(?:{_OPEN}{_D}{{{area}}}{_CLOSE}{_JOIN_OR_SPACE}?|{_D}{{{area}}}{_JOIN}){_D}{{{local}}}{_JOIN}{_D}{{{last}}}"
    f"|{_D}{{{area}}}{_OPEN}{_D}{{{local}}}{_CLOSE}{_H}?{_D}{{{last}}}"
    for area, local, last in _PHONE_GROUPS
)
_INTERNATIONAL = "|".join(  # after +81, without the first 0 of the area
    f"{_D}{{{area - 1}}}{_JOIN_OR_SPACE}{_D}{{{local}}}{_JOIN_OR_SPACE}{_D}{{{last}}}"
    for area, local, last in _PHONE_GROUPS
)
_MOBILE = f"[5-9５-９][0０]{_JOIN_OR_SPACE}?{_D}{{4}}{_JOIN_OR_SPACE}?{_D}{{4}}"
PHONE = (
    f"(?:(?<!{_D})(?<!{_D}[{_HYPHENS}.．,，])"
    f"(?:(?={_OPEN}?[0０][1-9１-９])(?:{_DOMESTIC})|[0０]{_MOBILE}"
    f"|[+＋][8８][1１]{_JOIN_OR_SPACE}?(?:{_OPEN}[0０]{_CLOSE}[ \u3000]?)?(?:{_INTERNATIONAL}|{_MOBILE}|{_D}{{9}}))"
    f"|〒[ \u3000:：]?{_D}{{3}}(?:{_JOIN})?{_D}{{4}}"
    f"|(?<![{_DIGITS}{_HYPHENS}A-Za-z.．,，¥￥$]){_D}{{3}}{_H}{_D}{{4}}(?![{_HYPHENS}A-Za-z%％円年人個回万])"
    f")(?![{_HYPHENS}.．,，]?{_D})"
)
_PHONE_LIKE = re.compile(f"{_D}[{_DIGITS}{_HYPHENS}()（） \u3000]{{6}}")  # every match of PHONE contains a match of it


def phone_remover(protected: str = "") -> Step:
    """Return a step that removes telephone numbers and postal codes; matches of `protected` are kept whole.

    >>> phone_remover()("〒123-4567 東京都 電話03(1234)5678、０９０－１２３４－５６７８まで 2024-01-01 3-4")
    '東京都 電話、まで 2024-01-01 3-4'
    """
    return lambda post: remove_matches(PHONE, ("",), post, protected) if _PHONE_LIKE.search(post) else post


_NAME_CHAR = "[A-Za-z0-9_Ａ-Ｚａ-ｚ０-９＿]"
_RETWEET = rf"[RrＲｒQＱ](?<![A-Za-z0-9].)[TtＴｔ][:：]?\s*[@＠]{_NAME_CHAR}"
# The colon is optional at the start of a post. Later it is required: "フォロー&RT @name で" is the author's own text.
_RETWEET_HEADS, _LATER_RETWEET_HEAD = rf"\A(?:\s*{_RETWEET}+(?:\s?[:：])?)+", rf"{_RETWEET}*\s?[:：]"

# Twitter's rule, and also after !#$%&*, which may be a folded full-width ！. Twitter rejects any name followed by an @;
# here only names of one or two characters are rejected, because of faces: (@_@) (＠o＠).
_AT_SIGN = r"[@＠](?:(?<![A-Za-z0-9_@＠].)|(?<=(?i:RT).))"
MENTION = rf"{_AT_SIGN}(?!{_NAME_CHAR}{{1,2}}[@＠]){_NAME_CHAR}+(?:[@＠]{_NAME_CHAR}+)*(?:/[A-Za-z][A-Za-z0-9_-]*)?"
_MENTION_PATTERN = re.compile(MENTION)


def drop_retweets(post: str) -> str:
    """Return the post up to "RT @name:"; the text after it is another author's. A post that begins so becomes empty.

    >>> drop_retweets("ほんとそれ RT @taro: 眠い"), drop_retweets("RT @taro: 眠い")
    ('ほんとそれ', '')
    """
    if "@" not in post and "＠" not in post:
        return post
    found = _compile(_RETWEET_HEADS).match(post) or _compile(_LATER_RETWEET_HEAD).search(post)
    return post[: found.start()].rstrip() if found else post


# Twitter's characters of a hashtag, at least one of them not a digit. A face such as (#ﾟДﾟ) does not match.
_BEFORE_TAG, _IN_TAG = r"(?<![\p{L}\p{Nd}_&/])", r"[\p{L}\p{M}\p{Nd}_\u200c\u200d〜～・·゛゜゠〃]"
_HASHTAG = rf"{_BEFORE_TAG}[#＃](?![\ufe0f\u20e3ﾞﾟ゛゜])(?=[\p{{Nd}}_]*\p{{L}}){_IN_TAG}+"

# Emoji: characters with emoji presentation, by default or by a variation selector or skin tone; symbols commonly typed
# as emoji without the selector; and everything joined to them. Text symbols (★♪♂♥©) are kept.
_EMOJI_BASE = r"(?:\p{Emoji_Presentation}|\p{Emoji}(?=[\ufe0f\p{EMod}])|[☀☁☂☃☎☝☠☹☺✂✈✉✌✍❄❣❤](?!\ufe0e))"
_EMOJI_MODIFIERS = r"(?:[\ufe0f\p{EMod}\U000e0020-\U000e007f]|\u200d\p{Extended_Pictographic}?)*"
_EMOJI = rf"[0-9#*]\ufe0f?\u20e3|(?![0-9#*]){_EMOJI_BASE}{_EMOJI_MODIFIERS}"

_VOICED = re.compile("[ぁ-ヿ][\u3099\u309a]")


def compose_voicing_marks(post: str) -> str:
    """Return the post with kana and combining voicing marks composed, as macOS writes file names decomposed.

    >>> compose_voicing_marks("か\u3099 ハ\u309a あ\u3099 e\u0301") == "が パ あ\u3099 e\u0301"
    True
    """
    if "\u3099" not in post and "\u309a" not in post:
        return post
    return _VOICED.sub(lambda pair: unicodedata.normalize("NFC", pair[0]), post)


# Excluded are ～, which is the wave dash 〜 as Windows encodes it, not an ASCII ~, and the ideographic space.
# jaconv.z2h is not used because it folds both. Half-width kana are those of JIS X 0201, including ｡｢｣､･.
_HALF_WIDTH = {chr(full): chr(full - 0xFEE0) for full in range(ord("！"), ord("～"))}
_FOLDABLE = re.compile("[！-｝｡-ﾟ](?:(?<=[｡-ﾟ])[｡-ﾟ]+)?")  # one full-width character, or a run of kana


def fold_width(post: str) -> str:
    """Return the post with full-width ASCII made half-width, and half-width kana with voicing marks made full-width.

    >>> fold_width("ＧＯ！　ｶﾞﾝﾊﾞﾚ～ あﾞ ﾜﾞ ①…㍻ (´･ω･｀)")
    'GO!　ガンバレ～ あﾞ ワﾞ ①…㍻ (´・ω・`)'
    """
    return _FOLDABLE.sub(
        lambda wide: _HALF_WIDTH.get(wide[0]) or jaconv.h2z(wide[0], kana=True, ascii=False, digit=False), post
    )


_LETTERS = re.compile("[Ａ-Ｚａ-ｚ０-９]")  # without +, with which `re` searches at a third of the speed


def fold_letters(post: str) -> str:
    """Return the post with full-width ASCII letters and digits made half-width.

    >>> fold_letters("ＧＯ！　２０２４ ｶﾞﾝﾊﾞﾚ～")
    'GO！　2024 ｶﾞﾝﾊﾞﾚ～'
    """
    return _LETTERS.sub(lambda wide: _HALF_WIDTH[wide[0]], post)


# Characters that are repeated for emphasis: laughter, long vowels, exclamation marks, ellipses, emoji. Digits, other
# letters (すももももももももの), spaces and line-drawing characters (━━━ ___ ((((  ===) are left alone.
_LONG_VOWELS = "あいうえおんアイウエオンｱｲｳｴｵﾝ"  # also inside words (いい, ああ): at least three are kept
_REPEATABLE = "wWｗＷ笑草ーｰ〜～~ぁぃぅぇぉっゃゅょァィゥェォッャュョｧ-ｯ!！?？‼⁉.．。｡、､・･…‥♪☆★♡♥"
# One whole emoji: a flag, or a base with its modifiers. Keycaps are digits. Pictographs that are no emoji are included.
_PICTOGRAPH = "[\U0001f300-\U0001f3fa\U0001f400-\U0001f64f\U0001f680-\U0001faff]"
_EMOJI_UNIT = rf"\p{{RI}}{{2}}|(?![0-9#*])(?:{_EMOJI_BASE}|{_PICTOGRAPH}){_EMOJI_MODIFIERS}"
# A single emoji matches too: a match that began inside a flag would pair the wrong letters.
_EMOJI_RUN = rf"({_EMOJI_UNIT})(?:\1(?![\ufe0f\u200d\p{{EMod}}\U000e0020-\U000e007f]))*"
# A post without a match has no run of an emoji. The first characters of all emoji are listed, and some others; the
# longest emoji of Unicode has 10 code points.
_MAY_REPEAT_EMOJI = re.compile(r"([©®‼⁉\u2100-\u24ff\u25a0-\u2bff〰〽㊗㊙\U0001f000-\U0001faff]).{0,15}?\1")


def limit_runs(max_repeats: int, protected: str = "") -> Step:
    """Return a step that cuts runs of one character or emoji to `max_repeats`; matches of `protected` are kept whole.

    >>> limit_runs(3)("草草草草草 うおおおおお！！！！！ 👏🏻👏🏻👏🏻👏🏻👏🏻 10000円....")
    '草草草 うおおお！！！ 👏🏻👏🏻👏🏻 10000円...'
    """
    runs = rf"([{_REPEATABLE}{_LONG_VOWELS}]\ufe0f?)\1{{{max_repeats},}}"

    def shorten(match: re.Match[str]) -> str:
        if not match[1]:  # protected
            return match[0]
        return match[1] * (max(max_repeats, min(3, len(match[0]))) if match[1] in _LONG_VOWELS else max_repeats)

    limit_characters = partial(re.compile(f"{protected}|{runs}" if protected else runs).sub, shorten)

    def limit(post: str) -> str:
        post = limit_characters(post)
        if not _MAY_REPEAT_EMOJI.search(post):
            return post
        return _compile(_EMOJI_RUN).sub(lambda match: match[0][: max_repeats * len(match[1])], post)

    return limit


# Steps in order of application. Links and names are removed before widths are folded, because a full-width letter ends
# them (https://t.co/abcｗｗｗ, ４８@name), and again afterwards, because every change restarts the list.
POLICIES: dict[str, dict[str, Step | None]] = {
    "entities": {"decode": partial(_ENTITY.sub, _decode_entity), "keep": None},
    "control_chars": {"remove": remove_control_chars, "keep": None},
    "retweets": {
        "drop": drop_retweets,
        "strip": partial(remove_matches, f"{_RETWEET_HEADS}|{_LATER_RETWEET_HEAD}", "@＠"),
        "keep": None,
    },
    "urls": {"remove": partial(remove_matches, URL, ("/", "@", "http", "www.", "／", "＠")), "keep": None},
    "phones": {"remove": phone_remover(), "keep": None},
    "mentions": {
        "symbol": partial(_MENTION_PATTERN.sub, "@"),
        "remove": partial(remove_matches, MENTION, "@＠"),
        "keep": None,
    },
    "hashtags": {"keep": None, "remove": partial(remove_matches, _HASHTAG, "#＃")},
    "emoji": {"keep": None, "remove": partial(remove_matches, _EMOJI, ("",))},
    "width": {"letters": fold_letters, "fold": fold_width, "keep": None},
    "blanks": {"drop": None, "keep": None},  # applies to whole posts, not to text
    "duplicates": {"drop": None, "keep": None},
}
TEXT_STEPS = (*(name for name in POLICIES if name not in ("blanks", "duplicates")), "voicing_marks", "max_repeats")
