"""What the vocabulary of a model gives away: tokens that look like a name, an address or a number."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gluon_lstm.language import N_
from gluon_lstm.model import Model

# kind -> pattern of a token, which is of the first kind that matches
PATTERNS = {
    N_("address"): re.compile(r"https?:|www\.|[^\s@＠]+[@＠][^\s@＠]+\.|^[@＠]\w+"),
    N_("number"): re.compile(r"\d[\d\-‐－ー.]+\d"),
}
# Janome's parts of speech of names of persons, places and organizations
NAMES = ("名詞,固有名詞,人名", "名詞,固有名詞,地域", "名詞,固有名詞,組織")


def revealing_tokens(model: Model) -> dict[str, list[str]]:
    """Return kind -> tokens that look like a name, an address or a number. A single character is none of them."""
    vocabulary = model.vocabulary
    found: dict[str, list[str]] = {N_("name"): [], **{kind: [] for kind in PATTERNS}}
    words = []
    for token in vocabulary.tokens[vocabulary.num_specials :]:
        kind = next((kind for kind, pattern in PATTERNS.items() if pattern.search(token)), None)
        if kind:
            found[kind].append(token)
        elif len(token) > 1:
            words.append(token)
    found["name"] = _names(words) if model.codec.settings.effective_tokenizer == "janome" else []
    return {kind: tokens for kind, tokens in found.items() if tokens}


def _names(words: Sequence[str]) -> list[str]:
    """Return the words that Janome's dictionary knows as a name alone."""
    from gluon_lstm.text.janome.analyzer import Analyzer

    analyzer = Analyzer()
    names = []
    for word in words:
        parts = analyzer.words(word)
        if len(parts) == 1 and parts[0].part_of_speech.startswith(NAMES):
            names.append(word)
    return names
