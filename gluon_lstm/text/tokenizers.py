"""Text to tokens, and back to exactly the same text.

    char          one token is what a reader sees as one character: an extended grapheme cluster (👨‍👩‍👧 is one)
    janome        one token is a word, as Janome and its dictionary cut it
    janome-chars  characters again, with BOUNDARY between the words Janome sees
    codepoint     one token is one Unicode code point: for text that is read as one raw stream

>>> make_tokenizer("janome").tokenize("今日は良い天気です\\n(^^)/ https://example.com/")
['今日', 'は', '良い', '天気', 'です', '\\n', '(^^)/', ' ', 'https://example.com/']
>>> make_tokenizer("janome-chars").tokenize("今日は晴れ")
['今', '日', '<word>', 'は', '<word>', '晴', 'れ']

Three things hold for every tokenizer and every string, lone surrogates included:

    tokenizer.detokenize(tokenizer.tokenize(text)) == text
    a newline is a token of its own
    no token begins or ends inside a grapheme cluster (``codepoint`` excepted)

Nothing here normalises: what a post should look like is the business of cleaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

import regex

from gluon_lstm.text.graphemes import FLAG, graphemes, is_plain
from gluon_lstm.text.user_dictionary import janome_with

TOKENIZERS: tuple[str, ...] = ("char", "janome", "janome-chars")

# No text has this token: every other token of janome-chars is one grapheme cluster, and "<" and "w" never share one.
# A text that spells <word> out becomes the six tokens < w o r d >.
BOUNDARY = "<word>"


class Tokenizer(Protocol):
    """What the rest of the package may ask of a tokenizer."""

    name: str

    def tokenize(self, text: str) -> list[str]:
        """Cut a text into tokens."""

    def detokenize(self, tokens: Iterable[str]) -> str:
        """Join tokens into the text they came from."""

    def split_unknown(self, token: str) -> list[str]:
        """Cut a token the vocabulary does not know into smaller ones; [] when there is nothing smaller."""


def make_tokenizer(name: str, user_dictionary: Sequence[str] = ()) -> Tokenizer:
    """The tokenizer of that name: one of TOKENIZERS, or "codepoint". The two of Janome know the user's words too."""
    plain = {kind.name: kind for kind in (CharTokenizer, CodepointTokenizer)}
    janome = {kind.name: kind for kind in (JanomeTokenizer, JanomeCharsTokenizer)}
    if name in janome:
        return janome[name](user_dictionary)
    if name not in plain:
        raise ValueError(f"unknown tokenizer {name!r}: choose one of {', '.join(sorted({**plain, **janome}))}")
    return plain[name]()


# --- characters ----------------------------------------------------------------------------------------------------


def _spell(token: str) -> list[str]:
    """A word into its clusters, a cluster into its code points, a code point into nothing."""
    if len(token) <= 1:
        return []
    parts = graphemes(token)
    return parts if len(parts) > 1 else list(token)


class CharTokenizer:
    """One grapheme cluster, one token."""

    name = "char"

    def tokenize(self, text: str) -> list[str]:
        return graphemes(text)

    def detokenize(self, tokens: Iterable[str]) -> str:
        return "".join(tokens)

    def split_unknown(self, token: str) -> list[str]:
        return _spell(token)


class CodepointTokenizer:
    """One code point, one token."""

    name = "codepoint"

    def tokenize(self, text: str) -> list[str]:
        return list(text)

    def detokenize(self, tokens: Iterable[str]) -> str:
        return "".join(tokens)

    def split_unknown(self, token: str) -> list[str]:
        return []


# --- words ---------------------------------------------------------------------------------------------------------

# A kaomoji is told from an ordinary parenthesis by its inside: only characters faces are drawn with, and at least one
# that hardly anything else is written with. So (笑), (1), (...) and (株) are left to Janome; some rarer faces are too.
_FACE_MARK = r"\^＾´｀`ωдДΔ∀▽△∇◇≧≦￣ﾟ゜_＿;；♡"
_FACE_PART = (
    rf"{_FACE_MARK} 　'\"・･。°.,*＊+\-−ー=＝~～〜<>＜＞|｜:：!！?？#＃"
    r"oOｏＯοσ0○〇●◎◉□口ロﾛεzзЗ3３θ∂TＴQvVｖxXｘ×ｪェﾍヘへノﾉ益皿"
)
_FACE = rf"[(（](?=[^()（）\n]{{0,11}}[{_FACE_MARK}])[{_FACE_PART}]{{2,12}}[)）]"
_KAOMOJI = (
    rf"(?<![A-Za-z])(?P<hand>[moｍｏ])[ヽ]?{_FACE}(?P=hand)(?![A-Za-z])"  # m(_ _)m
    rf"|[ヽヾ＼\\Σ⊂┐┌]?{_FACE}(?:[ﾉ／/ゞ┘┐]|ノ(?![ァ-ヶー]))?"  # ヽ(´ー｀)ノ
)

# What Janome would lose or cut to pieces, each a token of its own. Everything between is given to Janome.
KINDS = ("空白", "その他", "URL", "メンション", "絵文字", "ハッシュタグ", "顔文字")
_, ODD, _, MENTION, EMOJI, HASHTAG, KAOMOJI = KINDS
_PATTERNS = (
    r"\n|[^\S\n]+|[\x1c-\x1f]+",  # Janome uses str.strip, for which the four separators are space too
    r"[\ud800-\udfff]",  # a lone surrogate cannot be encoded, and Janome encodes
    r"(?i:https?)://[!-~]+(?<![].,:;!?'\"()<>{}[])",
    r"(?<![0-9A-Za-z_.])[@＠][0-9A-Za-z_]+",
    rf"{FLAG}|(?=\p{{Extended_Pictographic}}|[0-9#*]\ufe0f?\u20e3)\X",
    r"(?<![\w&])[#＃]\ufe0f?(?=\w*[^\W\d_])[\w・]+",
    _KAOMOJI,
)
_WHOLE = regex.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in zip(KINDS, _PATTERNS)))

# Janome lets an unknown word grow to 1,024 characters, and tries that anew at every character of a run of ！ or ｗ: ten
# times the work of other text. No vocabulary keeps words this long.
_MAX_UNKNOWN_WORD = 32


class JanomeTokenizer:
    """One word, one token; so are a newline, other white space, a URL, a mention, a hashtag, an emoji and a kaomoji."""

    name = "janome"

    def __init__(self, user_dictionary: Sequence[str] = (), wakati: bool = True) -> None:
        self._janome = janome_with(user_dictionary, wakati=wakati, max_unknown_length=_MAX_UNKNOWN_WORD)
        self._janome.matcher = _Matcher(self._janome.matcher)

    def tokenize(self, text: str) -> list[str]:
        words: list[str] = []
        for start, end, kind in _pieces(text):
            piece = text[start:end]
            words += [piece] if kind else self._dictionary_words(piece)
        return words if is_plain(text) else _without_split_clusters(text, words)

    def detokenize(self, tokens: Iterable[str]) -> str:
        return "".join(tokens)

    def split_unknown(self, token: str) -> list[str]:
        return _spell(token)

    def _dictionary_words(self, piece: str) -> list[str]:
        words = list(self._janome.tokenize(piece))
        return words if "".join(words) == piece else _with_lost_pieces(piece, words)


def _pieces(text: str) -> Iterator[tuple[int, int, str | None]]:
    """Where each piece of a text begins and ends, and which of KINDS it is; None: it is for Janome."""
    done = 0
    for match in _WHOLE.finditer(text):
        start, end = match.span()
        if start > done:
            yield done, start, None
        yield start, end, match.lastgroup
        done = end
    if done < len(text):
        yield done, len(text), None


class Word(NamedTuple):
    """A token of ``janome`` and what the dictionary says of it, such as 名詞,代名詞,一般,*; or which of KINDS it is."""

    surface: str
    part_of_speech: str
    base_form: str


class Analyzer(JanomeTokenizer):
    """The tokens of ``janome``, each with its part of speech and its base form.

    With `compound_nouns` neighbouring nouns are one word (名詞,複合,*,*), as Janome's CompoundNounFilter joins them.

    >>> [word.base_form for word in Analyzer().words("楽しかったです(^^)")]
    ['楽しい', 'た', 'です', '(^^)']
    """

    def __init__(self, user_dictionary: Sequence[str] = (), compound_nouns: bool = False) -> None:
        from janome.tokenfilter import CompoundNounFilter

        super().__init__(user_dictionary, wakati=False)
        self._joined = CompoundNounFilter().apply if compound_nouns else iter

    def tokenize(self, text: str) -> list[str]:
        return [word.surface for word in self.words(text)]

    def words(self, text: str) -> list[Word]:
        """The words of a text; their surfaces, joined, are the text."""
        told: dict[int, Word] = {}  # by where it begins
        surfaces: list[str] = []
        for start, end, kind in _pieces(text):
            if kind:
                told[start] = Word(text[start:end], kind, text[start:end])
                surfaces.append(text[start:end])
                continue
            found = list(self._joined(self._janome.tokenize(text[start:end])))
            surfaces += _with_lost_pieces(text[start:end], [token.surface for token in found])
            for token in found:
                at = text.find(token.surface, start, end)
                if at >= 0:
                    told[at] = Word(token.surface, token.part_of_speech, token.base_form)
                    start = at + len(token.surface)
        words: list[Word] = []
        at = 0
        for surface in _without_split_clusters(text, surfaces):
            word = told.get(at)
            words.append(word if word and word.surface == surface else Word(surface, ODD, surface))
            at += len(surface)
        return words


class JanomeCharsTokenizer(JanomeTokenizer):
    """Grapheme clusters, with BOUNDARY wherever one word touches the next.

    White space, a newline included, already parts the words beside it: no BOUNDARY stands next to it, nor at the start
    or end of a text. Without BOUNDARY the tokens are those of ``char``.
    """

    name = "janome-chars"

    def tokenize(self, text: str) -> list[str]:
        found: list[str] = []
        parted = True
        for word in super().tokenize(text):
            is_space = word.isspace()
            if not (parted or is_space):
                found.append(BOUNDARY)
            found += graphemes(word)
            parted = is_space
        return found

    def detokenize(self, tokens: Iterable[str]) -> str:
        return "".join(token for token in tokens if token != BOUNDARY)

    def split_unknown(self, token: str) -> list[str]:
        return [] if token == BOUNDARY else _spell(token)


def _with_lost_pieces(piece: str, words: Iterable[str]) -> list[str]:
    """The words where they stand in the piece, and whatever lies between them as tokens too."""
    complete: list[str] = []
    done = 0
    for word in words:
        start = piece.find(word, done)
        if start < 0:
            continue  # not in the text at all: its place is filled from the text itself
        if start > done:
            complete.append(piece[done:start])
        complete.append(word)
        done = start + len(word)
    if done < len(piece):
        complete.append(piece[done:])
    return complete


def _without_split_clusters(text: str, words: Iterable[str]) -> list[str]:
    """Glue words whose border lies inside a grapheme cluster: か + U+3099, a letter and its accent, ｶ + ﾞ."""
    ends = accumulate(map(len, graphemes(text)))
    whole: list[str] = []
    begun, position, end = "", 0, 0  # `end`: of the first cluster that does not end before `position`
    for word in words:
        position += len(word)
        begun += word
        while end < position:
            end = next(ends)
        if end == position:
            whole.append(begun)
            begun = ""
    return whole


class _Matcher:
    """Janome's dictionary look-up, with the same answers and half the time for the whole tokenizer.

    Janome's own matcher reads the arcs of each state one after another from packed bytes. This one unfolds a state into
    a dict when it is first visited.
    """

    _MOST_STATES = 100_000  # in each of two parts; a novel visits 30,000, and they take about 60 MB

    def __init__(self, packed: Any) -> None:
        from janome import fst

        self._final, self._last = fst.FLAG_FINAL_ARC, fst.FLAG_LAST_ARC
        self._packed = packed
        self._states: list[dict[int, Any]] = [{} for _ in packed.dict_data]

    def run(self, word: bytes, common_prefix_match: bool = True) -> tuple[bool, list[bytes]]:
        """Every dictionary entry that is a prefix of ``word``: the only question Janome's tokenizer asks."""
        found: list[bytes] = []
        for part, states in enumerate(self._states):
            address, read = 0, b""
            for byte in word + b"\0":  # one more turn, for the entry that ends with the word itself
                state = states.get(address)
                if state is None:
                    if len(states) >= self._MOST_STATES:
                        states.clear()
                    state = states[address] = self._unfold(part, address)
                endings, arcs = state
                for ending in endings:
                    found.append(read + ending)
                if byte not in arcs:
                    break
                output, address = arcs[byte]
                read += output
        return bool(found), found

    def _unfold(self, part: int, address: int) -> tuple[list[bytes], dict[int, tuple[bytes, int]]]:
        """The state at an address: what ends in it, and where each next byte leads."""
        endings: list[bytes] = []
        arcs: dict[int, tuple[bytes, int]] = {}
        packed = self._packed.dict_data[part]
        while True:
            flag, label, output, final_output, target, size = self._packed.next_arc(packed, address)
            if flag & self._final:
                endings = final_output
            else:
                arcs[label] = output, address + target
            if flag & self._last:
                return endings, arcs
            address += size
