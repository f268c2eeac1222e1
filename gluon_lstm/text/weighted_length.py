"""Weighted length of a post, as X counts it: twitter-text, configuration 3 (github.com/twitter/twitter-text).

>>> [weighted_length(text) for text in ("今日は晴れ", "sunny", "👨‍👩‍👧‍👦", "詳しくはhttps://example.com/long/path")]
[10, 5, 2, 31]

A link is what X shortens, not what `cleaning` removes: `example.com` counts 23, a mail address as it is written. Two
things are simpler than in X: of the top-level domains that are no country only common ones are known, and every
well-formed emoji sequence is an emoji, whether or not fonts have it.
"""

from __future__ import annotations

import re
import unicodedata

import regex

from gluon_lstm.text.graphemes import graphemes, is_plain

MAX_WEIGHTED_LENGTH = 280  # of a post
URL_LENGTH = 23  # of a link, however long
EMOJI_LENGTH = 2  # of an emoji sequence

_code_points_of_length_1 = re.compile("[\0-\u10ff\u2000-\u200d\u2010-\u201f\u2032-\u2037]").findall  # others: 2

# A flag, a keycap, or pictographs with a selector, a skin tone or tags, joined (UTS 51, possible_emoji).
_ELEMENT = r"\p{Extended_Pictographic}(?:\ufe0f|(?<=\p{EBase})\p{EMod}|[\U000e0020-\U000e007e]+\U000e007f)?"
_is_emoji = regex.compile(rf"\p{{RI}}{{2}}|[0-9#*]\ufe0f?\u20e3|{_ELEMENT}(?:\u200d{_ELEMENT})*").fullmatch

_COUNTRIES = (
    "a[cdefgilmnoqrstuwxz]|b[abdefghijlmnoqrstvwyz]|c[acdfghiklmnoruvwxyz]|d[ejkmoz]|e[ceghrstu]|f[ijkmor]"
    "|g[abdefghilmnpqrstuwy]|h[kmnrtu]|i[delmnoqrst]|j[emop]|k[eghimnprwyz]|l[abcikrstuvy]"
    "|m[acdefghklmnopqrstuvwxyz]|n[acefgilpruz]|om|p[aefghklmnrstwy]|qa|r[eosuw]|s[abcdeghijklmnorstuvxyz]"
    "|t[cdfghjklmnoprtvwz]|u[agkmsyz]|v[aceginu]|w[fs]|y[et]|z[amw]"
    "|中国|台湾|香港|한국|рф|پاکستان"
)
_GENERIC = (
    "academy|agency|app|art|asia|bar|best|bio|biz|blog|cafe|cat|center|chat|city|cloud|club|codes|coffee|com|community"
    "|company|cool|coop|design|dev|digital|directory|earth|edu|email|energy|events|expert|fan|fans|farm|fashion|film"
    "|fun|fund|fyi|gallery|game|games|gift|global|gmo|goog|google|gov|group|guide|guru|health|help|host|house|how|inc"
    "|info|ink|int|international|jobs|kyoto|land|law|life|limited|link|live|lol|love|ltd|management|market|marketing"
    "|media|mil|mobi|moe|money|museum|nagoya|name|net|network|news|nico|ninja|okinawa|one|online|org|osaka|page|party"
    "|photo|photography|photos|pics|pink|pizza|place|plus|press|pro|productions|pub|red|rest|review|rip|rocks|run|sale"
    "|school|science|services|sexy|shop|show|site|ski|social|software|solutions|space|store|studio|style|support"
    "|systems|team|tech|tel|tips|today|tokyo|tools|top|toys|training|travel|tube|university|video|vip|vision|watch"
    "|website|wiki|win|work|works|world|wtf|xin|xxx|xyz|yokohama|zone"
    "|コム|みんな|グーグル|ストア|セール|ファッション|ポイント|クラウド"
)
_TOP_LEVEL = rf"(?:{_GENERIC}|{_COUNTRIES}|xn--[a-z0-9-]+)(?![a-z0-9@+-])"
_LATIN, _CYRILLIC = "\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f", "\u0400-\u04ff"
_NAME_CHAR = r"[^\s\0-/:-@\[-`{-\x7f]"  # all but white space, control characters and ASCII punctuation


def _host(characters: str) -> str:
    """Return the pattern of a host with these characters in its labels, of which only the last has no underscore."""
    label, last = (rf"{characters}(?:(?:{characters}|[{also}]){{0,61}}{characters})?\." for also in ("_-", "-"))
    return rf"(?:{label})*{last}{_TOP_LEVEL}"


_PATH_CHAR, _PATH_END = rf"[a-z0-9!*';:=+,.$/%#\[\]\-–_~@|&{_LATIN}{_CYRILLIC}]", rf"[a-z0-9=_#/+\-{_LATIN}{_CYRILLIC}]"
_PARENTHESES = rf"\((?:{_PATH_CHAR}|\({_PATH_CHAR}+\))+\)"
_QUERY = r"(?:\?[a-z0-9!?*'@();:&=+$/%#\[\]\-_.,~|]*[a-z0-9\-_&=#/])?"
_REST = rf"(?::[0-9]+)?(?:/(?:(?:{_PATH_CHAR}|{_PARENTHESES})*(?:{_PATH_END}|{_PARENTHESES}))?)?{_QUERY}"
_BEFORE = "(?<![a-z0-9@＠$#＃"
_find_links = re.compile(
    rf"(?i:{_BEFORE}])https?://(?:t\.co/[a-z0-9]{{1,40}}(?![a-z0-9]){_QUERY}"
    rf"|(?!t\.co/[a-z0-9])({_host(_NAME_CHAR)}){_REST})"
    rf"|{_BEFORE}_./-])(?:{_host(f'[a-z0-9{_LATIN}]')}){_REST})"
).finditer
_MAX_LABEL_BYTES = 63  # of a name in a host, as the network sees it


def weighted_length(post: str) -> int:
    """Return the weighted length of a post: in NFC, most scripts of Europe count 1 a code point, all others 2."""
    post = unicodedata.normalize("NFC", post)
    length = end = 0
    for link in _find_links(post) if "." in post else ():
        if _is_valid_host(link[1] or ""):
            length += _length_of_text(post[end : link.start()]) + URL_LENGTH
            end = link.end()
    return length + _length_of_text(post[end:])


def _length_of_text(text: str) -> int:
    """Return the weighted length of a text without links."""
    if is_plain(text):
        return _length_of_code_points(text)
    return sum(
        EMOJI_LENGTH if len(cluster) > 1 and _is_emoji(cluster) else _length_of_code_points(cluster)
        for cluster in graphemes(text)
    )


def _length_of_code_points(text: str) -> int:
    return 2 * len(text) - len(_code_points_of_length_1(text))


def _is_valid_host(host: str) -> bool:
    """Return whether the network can look up the host: a label of other than ASCII is encoded, as xn-- and Punycode."""
    return all(
        len(label.encode("punycode")) + len("xn--") <= _MAX_LABEL_BYTES and not label.startswith("xn--")
        for label in host.split(".")
        if not label.isascii()
    )
