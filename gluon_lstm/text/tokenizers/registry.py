"""Registry of tokenizers: every module of this package is searched, so a new tokenizer is one new file.

>>> make_tokenizer("janome").tokenize("今日は良い天気です\\n(^^)/ https://example.com/")
['今日', 'は', '良い', '天気', 'です', '\\n', '(^^)/', ' ', 'https://example.com/']
>>> make_tokenizer("janome-chars").tokenize("今日は晴れ")
['今', '日', '<word>', 'は', '<word>', '晴', 'れ']
"""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from importlib import import_module

from gluon_lstm.language import _
from gluon_lstm.text import tokenizers
from gluon_lstm.text.tokenizers.base import Tokenizer


def _find_tokenizers() -> dict[str, type[Tokenizer]]:
    found: dict[str, type[Tokenizer]] = {}
    for module in pkgutil.iter_modules(tokenizers.__path__):
        if module.name != "registry":
            members = vars(import_module(f"{tokenizers.__name__}.{module.name}")).values()
            classes = (member for member in members if isinstance(member, type) and issubclass(member, Tokenizer))
            found.update((kind.name, kind) for kind in classes if "name" in vars(kind))
    return dict(sorted(found.items()))


TOKENIZER_CLASSES = _find_tokenizers()
TOKENIZERS = tuple(name for name, kind in TOKENIZER_CLASSES.items() if not kind.is_internal)  # choices of a user


def make_tokenizer(name: str, user_dictionary: Sequence[str] = ()) -> Tokenizer:
    """Return the tokenizer with this name. Raises ValueError for an unknown name."""
    return tokenizer_class(name)(user_dictionary)


def tokenizer_class(name: str) -> type[Tokenizer]:
    """Return the class of the tokenizer with this name. Raises ValueError for an unknown name."""
    if name not in TOKENIZER_CLASSES:
        raise ValueError(
            _("unknown tokenizer {name!r}: use one of {tokenizer_classes}").format(
                name=name, tokenizer_classes=", ".join(TOKENIZER_CLASSES)
            )
        )
    return TOKENIZER_CLASSES[name]


def accepts_raw(name: str) -> bool:
    """Return whether text for this tokenizer can be raw: one stream of characters. False for an unknown name."""
    return name in TOKENIZER_CLASSES and TOKENIZER_CLASSES[name].raw_tokenizer is not None
