"""What files hold, in 32 characters: the same text under another name or date is the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence

from gluon_lstm.progress import ignore
from gluon_lstm.text.sources.archive import tweets_files_of
from gluon_lstm.text.sources.encodings import blocks
from gluon_lstm.text.sources.reading import ReadingOptions, is_archive, kind_of, sources_of


def fingerprint(paths: Sequence[str | os.PathLike[str]], options: ReadingOptions) -> str:
    """A digest of everything that `read_posts` would read, in its order, and of how: kinds of files and options.

    Raises TextError and OSError as `read_posts` does for files that are not there or are none of posts.
    """
    digest = hashlib.blake2b(repr(options).encode(), digest_size=16)
    for path in sources_of(paths, options):
        for kind, content in _contents(path):
            inner = hashlib.blake2b(kind.encode())
            for block in content:
                inner.update(block)
            digest.update(inner.digest())
    return digest.hexdigest()


def _contents(path: str) -> Iterator[tuple[str, Iterator[bytes]]]:
    if is_archive(path):
        for _, content in tweets_files_of(path, ignore):
            yield ".js", content
    else:
        with open(path, "rb") as file:
            yield kind_of(path), blocks(file)
