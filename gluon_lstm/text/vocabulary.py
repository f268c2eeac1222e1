"""Vocabulary: token <-> id, built from the training set only; the order of the ids depends only on the text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Callable

from gluon_lstm.language import _

UNKNOWN = "<unk>"  # special token of a code point that is not in the training set
END_OF_POST = "<post>"  # special token after each post; generation starts from it
MAX_TOKEN_LENGTH = 1000  # maximum code points of a token, the maximum length of a generated post


class Vocabulary:
    """V tokens with the ids 0 … V-1: first the special tokens, then the tokens of the text.

    Special tokens are recognized by id, not by spelling: a post that contains the letters `<post>` does not end there.
    """

    def __init__(self, tokens: Sequence[str], specials: int) -> None:
        """`tokens` are in the order of their ids; the first `specials` of them are special.

        Raises ValueError for a token that is repeated, empty, longer than MAX_TOKEN_LENGTH or not a string.
        """
        if type(specials) is not int or not isinstance(tokens, Sequence) or isinstance(tokens, str):
            raise ValueError(_("a vocabulary is a list of tokens and the number of special tokens"))
        if not all(isinstance(token, str) and 0 < len(token) <= MAX_TOKEN_LENGTH for token in tokens):
            raise ValueError(
                _("the tokens of a vocabulary are strings of 1 to {max_token_length:,} characters").format(
                    max_token_length=MAX_TOKEN_LENGTH
                )
            )
        self.tokens = list(tokens)
        self.num_specials = specials
        self._ids = {token: id for id, token in enumerate(self.tokens) if id >= specials}
        if len(self._ids) != len(self.tokens) - specials or len(set(self.tokens[:specials])) != specials:
            raise ValueError(_("a vocabulary contains each token once"))
        if not specials or self.tokens[0] != UNKNOWN:
            raise ValueError(_("a vocabulary begins with {unknown}").format(unknown=UNKNOWN))

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[str, int],
        specials: Sequence[str],
        min_count: int = 1,
        max_vocab: int | None = None,
        characters: Mapping[str, int] | None = None,
    ) -> Vocabulary:
        """Return the vocabulary of the tokens with at least `min_count` occurrences, most frequent first.

        Ties are in code point order. `characters` (for word tokenizers) are kept whatever their count, so that unknown
        words can be split into them. When `max_vocab` (the maximum V, special tokens included) is smaller than all of
        these, characters come before words. Tokens longer than MAX_TOKEN_LENGTH are excluded, and so split into
        characters. Raises ValueError for a `max_vocab` of no more than the special tokens.
        """
        limit = len(counts) + len(characters or ()) if max_vocab is None else max_vocab - len(specials)
        if limit < 1:
            raise ValueError(
                _("`max_vocab` {max_vocab} includes the special tokens: use at least {specials}").format(
                    max_vocab=max_vocab, specials=len(specials) + 1
                )
            )
        short = [(token, n) for token, n in (characters or {}).items() if len(token) <= MAX_TOKEN_LENGTH]
        kept = dict(_most_frequent(short, limit))
        words = (
            (token, n)
            for token, n in counts.items()
            if n >= min_count and token not in kept and len(token) <= MAX_TOKEN_LENGTH
        )
        kept.update(_most_frequent(words, limit - len(kept)))
        return cls([*specials, *(token for token, _ in _most_frequent(kept.items(), limit))], len(specials))

    def extended(self, tokens: Iterable[str], max_vocab: int) -> Vocabulary:
        """Return this vocabulary with further `tokens` after its own, as many as `max_vocab` allows."""
        new = [token for token in tokens if token not in self]
        return Vocabulary([*self.tokens, *new[: max(max_vocab - len(self), 0)]], self.num_specials)

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: str) -> bool:
        return token in self._ids

    @property
    def unknown(self) -> int:
        return 0

    def special_id(self, name: str) -> int | None:
        """Return the id of a special token, or None when this vocabulary does not have it (raw text has no posts)."""
        specials = self.tokens[: self.num_specials]
        return specials.index(name) if name in specials else None

    def id(self, token: str) -> int | None:
        return self._ids.get(token)

    def ids(self, token: str, split_unknown: Callable[[str], Iterable[str]]) -> list[int]:
        """Return [id] of a known token, else the ids of its parts; one UNKNOWN for each unknown code point."""
        known = self._ids.get(token)
        if known is not None:
            return [known]
        parts = list(split_unknown(token))
        if not parts:
            return [self.unknown]
        return [id for part in parts for id in self.ids(part, split_unknown)]


def _most_frequent(items: Iterable[tuple[str, int]], limit: int) -> list[tuple[str, int]]:
    return sorted(items, key=lambda item: (-item[1], item[0]))[:limit]
