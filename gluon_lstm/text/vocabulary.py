"""Token <-> id. Built from the training part only, in an order that depends on nothing but the text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Callable

UNKNOWN = "<unk>"  # a code point that the training part does not have
END_OF_POST = "<post>"  # closes every post; a text begins behind one
MAX_TOKEN_LENGTH = 1000  # code points; a generated post would have no room for a longer one


class Vocabulary:
    """V tokens under the ids 0 … V-1: first the special ones, then the tokens of the text.

    A special token is told from a token of the text by its place, not by how it is spelled: a post that holds the
    letters `<post>` cannot end itself.
    """

    def __init__(self, tokens: Sequence[str], specials: int) -> None:
        """`tokens` in the order of their ids, the first `specials` of them special.

        ValueError: one is double, empty, longer than LONGEST_TOKEN or no string.
        """
        if type(specials) is not int or not isinstance(tokens, Sequence) or isinstance(tokens, str):
            raise ValueError("a vocabulary is a list of tokens and the number of those that are special")
        if not all(isinstance(token, str) and 0 < len(token) <= MAX_TOKEN_LENGTH for token in tokens):
            raise ValueError(f"the tokens of a vocabulary are strings of 1 to {MAX_TOKEN_LENGTH:,} characters")
        self.tokens = list(tokens)
        self.num_specials = specials
        self._ids = {token: id for id, token in enumerate(self.tokens) if id >= specials}
        if len(self._ids) != len(self.tokens) - specials or len(set(self.tokens[:specials])) != specials:
            raise ValueError("a vocabulary holds each token once")
        if not specials or self.tokens[0] != UNKNOWN:
            raise ValueError(f"a vocabulary begins with {UNKNOWN}")

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[str, int],
        specials: Sequence[str],
        min_count: int = 1,
        max_vocab: int | None = None,
        characters: Mapping[str, int] | None = None,
    ) -> Vocabulary:
        """The tokens seen at least `min_count` times, the most frequent first, ties in code point order.

        `characters` (with words only) are kept whatever their count, so that any other word can be spelled. When
        `max_vocab` (the largest V, special tokens included) leaves no room for all, characters come before words.
        Tokens longer than LONGEST_TOKEN are left out, and spelled.
        """
        room = len(counts) + len(characters or ()) if max_vocab is None else max_vocab - len(specials)
        if room < 1:
            raise ValueError(f"--max-vocab {max_vocab} leaves no room for a token: use at least {len(specials) + 1}")
        short = [(token, n) for token, n in (characters or {}).items() if len(token) <= MAX_TOKEN_LENGTH]
        kept = dict(_most_frequent(short, room))
        words = (
            (token, n)
            for token, n in counts.items()
            if n >= min_count and token not in kept and len(token) <= MAX_TOKEN_LENGTH
        )
        kept.update(_most_frequent(words, room - len(kept)))
        return cls([*specials, *(token for token, _ in _most_frequent(kept.items(), room))], len(specials))

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: str) -> bool:
        return token in self._ids

    @property
    def unknown(self) -> int:
        return 0

    def special(self, name: str) -> int | None:
        """The id of a special token, or None where this vocabulary has none (a raw text has no posts)."""
        specials = self.tokens[: self.num_specials]
        return specials.index(name) if name in specials else None

    def id(self, token: str) -> int | None:
        return self._ids.get(token)

    def ids(self, token: str, split_unknown: Callable[[str], Iterable[str]]) -> list[int]:
        """The id of `token`, else the ids of what it is spelled with; one UNKNOWN for each code point never seen."""
        known = self._ids.get(token)
        if known is not None:
            return [known]
        parts = list(split_unknown(token))
        if not parts:
            return [self.unknown]
        return [id for part in parts for id in self.ids(part, split_unknown)]


def _most_frequent(items: Iterable[tuple[str, int]], most: int) -> list[tuple[str, int]]:
    return sorted(items, key=lambda item: (-item[1], item[0]))[:most]
