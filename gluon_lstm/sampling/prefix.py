"""Prefix of a generated text as token ids: unknown characters replaced, the last word complete or partial."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from gluon_lstm.language import _
from gluon_lstm.progress import Notice
from gluon_lstm.text.cleaning import Cleaner
from gluon_lstm.text.codec import Codec

MAX_PARTIAL_WORDS = 8  # maximum number of words at the end of a prefix that may be the beginning of a longer word
_SELECTORS = re.compile("[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]")  # variation selectors and skin tones
_JOINER = "\u200d"


@dataclass(frozen=True)
class Tokenization:
    """One tokenization of a prefix: ids, then (with words) the characters with which the next word must begin."""

    ids: tuple[int, ...]
    partial_word: str = ""


class Prefix:
    """A cleaned prefix with all its plausible tokenizations; generation draws one by the probability the model gives.

    `char` and raw models have one tokenization. With `janome` the last word may be the beginning of a longer word
    (こんにち of こんにちは), so the last words are also tried as a partial word. With `janome-chars` the last word
    boundaries are also tried as absent, for the same reason.
    """

    def __init__(self, text: str, codec: Codec, notice: Notice) -> None:
        settings = codec.settings
        self.text = text if settings.raw else Cleaner(settings.cleaning).clean_prefix(text)
        self.tokenizations = _tokenizations(_replace_unknown(self.text, codec, notice), codec)


def _replace_unknown(text: str, codec: Codec, notice: Notice) -> str:
    """Return the text with each unknown character replaced by the nearest known one; `notice` names each pair.

    Unknown selectors, skin tones and joiners of emoji are omitted without a notice: ☔\ufe0f is read as ☔.
    """
    replaced: dict[str, str] = {}

    def known_text(token: str) -> str:
        if codec.vocabulary.unknown not in codec.ids(token):
            return token
        parts = codec.tokenizer.split_unknown(token)
        if len(parts) > 1:
            plain = _SELECTORS.sub("", token)
            return plain if plain in codec.vocabulary else "".join(map(known_text, parts))
        if token == _JOINER or _SELECTORS.fullmatch(token):
            return ""
        if token not in replaced:
            replaced[token] = nearest_known(token, codec)
            notice(
                _("the vocabulary has no {token!r}; the model reads {replaced!r} instead").format(
                    token=token, replaced=replaced[token]
                )
            )
        return replaced[token]

    return codec.tokenizer.detokenize(map(known_text, codec.tokenizer.tokenize(text)))


def nearest_known(character: str, codec: Codec) -> str:
    """Return the known character most similar to `character`: another form of it, else the nearest code point.

    Forms are NFKC, NFKD, lower case, upper case and the other kana. Of the code points those of the same Unicode
    category are preferred. Returns "" when the vocabulary has no single character.
    """
    forms = [
        unicodedata.normalize("NFKC", character),
        unicodedata.normalize("NFKD", character)[:1],
        character.lower(),
        character.upper(),
        _other_kana(character),
    ]
    known = [token for token in codec.vocabulary.tokens[codec.vocabulary.num_specials :] if len(token) == 1]
    for form in forms:
        if len(form) == 1 and form in codec.vocabulary:
            return form
    category = unicodedata.category(character)
    candidates = [token for token in known if unicodedata.category(token) == category] or known
    return min(candidates, key=lambda token: (abs(ord(token) - ord(character)), token), default="")


def _other_kana(character: str) -> str:
    """Return ひらがな for カタカナ and vice versa; "" for other characters."""
    code = ord(character)
    if 0x3041 <= code <= 0x3096:
        return chr(code + 0x60)
    return chr(code - 0x60) if 0x30A1 <= code <= 0x30F6 else ""


def _tokenizations(text: str, codec: Codec) -> list[Tokenization]:
    """Return the plausible tokenizations of a text whose characters are all known, the plain one first."""
    tokens = codec.tokenizer.tokenize(text)
    plain = tuple(id for token in tokens for id in codec.ids(token))
    tokenizations = [Tokenization(plain)]
    max_length = max(map(len, codec.vocabulary.tokens), default=0)
    for alternative, partial_word in codec.tokenizer.prefix_alternatives(tokens, MAX_PARTIAL_WORDS):
        if len(partial_word) >= max_length:
            break
        ids = tuple(id for token in alternative for id in codec.ids(token))
        tokenizations.append(Tokenization(ids, partial_word))
    return tokenizations
