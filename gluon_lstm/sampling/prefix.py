"""The beginning of a text that somebody typed, as ids: with the characters it knows, and its last word left open."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from gluon_lstm.progress import Notice
from gluon_lstm.text.cleaning import Cleaner
from gluon_lstm.text.codec import Codec

MAX_PARTIAL_WORDS = 8  # how many words at the end of a prefix may turn out to be the beginning of a longer one


@dataclass(frozen=True)
class Tokenization:
    """One way to read a prefix: ids, then (for words) a beginning that the next word has to have."""

    ids: tuple[int, ...]
    partial_word: str = ""


class Prefix:
    """A prefix as the model reads it, in every way that makes sense; which one is meant, the model decides.

    `char` and raw texts have one reading. With `janome` the last word may be the beginning of a longer one (こんにち of
    こんにちは), so the last words are also read as an opening. With `janome-chars` the last word boundaries may not be
    there, for the same reason.
    """

    def __init__(self, text: str, codec: Codec, notice: Notice) -> None:
        settings = codec.settings
        self.text = text if settings.raw else Cleaner(settings.cleaning).clean_prefix(text)
        self.readings = _readings(_known(self.text, codec, notice), codec)


def _known(text: str, codec: Codec, notice: Notice) -> str:
    """The text with each character the model has never seen replaced by the nearest it knows; they are named."""
    vocabulary = codec.vocabulary
    replaced: dict[str, str] = {}
    for token in codec.tokenizer.tokenize(text):
        if vocabulary.unknown in codec.ids(token):
            for character in token:
                if vocabulary.unknown in codec.ids(character) and character not in replaced:
                    known = replaced[character] = nearest(character, codec)
                    notice(f"the model has never seen {character!r}; it reads the nearest it knows, {known!r}")
    return "".join(replaced.get(character, character) for character in text)


def nearest(character: str, codec: Codec) -> str:
    """The known character most like `character`: another form of it, else its neighbour among the code points."""
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
    kind = unicodedata.category(character)
    alike = [token for token in known if unicodedata.category(token) == kind] or known
    return min(alike, key=lambda token: (abs(ord(token) - ord(character)), token), default="")


def _other_kana(character: str) -> str:
    """ひらがな for カタカナ, and the other way round."""
    code = ord(character)
    if 0x3041 <= code <= 0x3096:
        return chr(code + 0x60)
    return chr(code - 0x60) if 0x30A1 <= code <= 0x30F6 else ""


def _readings(text: str, codec: Codec) -> list[Tokenization]:
    tokens = codec.tokenizer.tokenize(text)
    whole = tuple(id for token in tokens for id in codec.ids(token))
    readings = [Tokenization(whole)]
    longest = max(map(len, codec.vocabulary.tokens), default=0)
    if codec.settings.tokenizer == "janome":
        for k in reversed(range(len(tokens))[-MAX_PARTIAL_WORDS:]):
            partial_word = "".join(tokens[k:])
            if len(partial_word) >= longest:
                break
            readings.append(Tokenization(tuple(id for token in tokens[:k] for id in codec.ids(token)), partial_word))
    elif codec.boundary is not None:
        boundaries = [k for k, id in enumerate(whole) if id == codec.boundary]
        for last in reversed(boundaries[-MAX_PARTIAL_WORDS:]):
            readings.append(Tokenization((*whole[:last], *(id for id in whole[last:] if id != codec.boundary))))
    return readings
