"""Files to read for the paths of a user, with their formats, and a fingerprint of their contents."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Union

from gluon_lstm.files import OUTPUT_KINDS
from gluon_lstm.language import _
from gluon_lstm.progress import Notice, ignore
from gluon_lstm.text.sources.archives import is_archive
from gluon_lstm.text.sources.base import FileFormat, extension
from gluon_lstm.text.sources.encodings import TextError, check_encoding
from gluon_lstm.text.sources.registry import FOLDER_EXTENSIONS, format_of, format_of_folder
from gluon_lstm.text.sources.x_archive import is_notes_file, is_tweets_file

if TYPE_CHECKING:
    from gluon_lstm.text.sources.reading import ReadingOptions

Paths = Sequence[Union[str, "os.PathLike[str]"]]


# names of texts about the files beside them, which are no posts; given by name such a file is read
_NOT_POSTS = re.compile(r"(?:readme|license|licence|copying|お読みください|はじめに)(?:\.\w{1,5})*", re.IGNORECASE)


class SourceFile(NamedTuple):
    """File, or folder of an unpacked archive, with its format."""

    path: str
    format: FileFormat


class _Output(NamedTuple):
    """Directory that this package wrote, inside a folder that is searched."""

    kind: str
    folder: str


def files_to_read(paths: Paths, options: ReadingOptions, notice: Notice = ignore) -> list[SourceFile]:
    """Return the files of `paths` in order; folders are searched. Raises TextError for what can be refused unopened.

    The search leaves out the files that this package writes into the directory of a training run, a report or a cache
    entry, so that such a directory may lie inside a folder of posts.
    """
    if options.encoding is not None:
        check_encoding(options.encoding)
    if isinstance(paths, (str, os.PathLike)):  # a single path is not a sequence of letters
        paths = [paths]
    return _without_notes([file for path in paths for file in _files_at(os.fsdecode(path), notice)])


def _without_notes(files: list[SourceFile]) -> list[SourceFile]:
    """Return the files without note-tweet.js where tweets.js beside it is also given: its posts are read with it."""
    folders = {os.path.realpath(os.path.dirname(path)) for path, _ in files if is_tweets_file(os.path.basename(path))}
    return [
        file
        for file in files
        if not (is_notes_file(os.path.basename(file.path)) and os.path.realpath(os.path.dirname(file.path)) in folders)
    ]


def _files_at(path: str, notice: Notice) -> list[SourceFile]:
    if path == "-":
        raise TextError(_("standard input (-) cannot be read; save the text to a file and give its name"))
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise TextError(_("{path}: there is no such file or folder; check the name").format(path=path)) from None
    if stat.S_ISDIR(mode):
        archive = format_of_folder(path)
        return [SourceFile(path, archive)] if archive else _files_inside(path, notice)
    if not stat.S_ISREG(mode):
        raise TextError(
            _("{path} is a pipe or a device, which cannot be read twice; save the text to a file").format(path=path)
        )
    file = SourceFile(path, format_of(path))
    file.format.check(path)
    return [file]


def _files_inside(folder: str, notice: Notice) -> list[SourceFile]:
    files: list[SourceFile] = []
    outputs: list[_Output] = []
    ignored = 0
    for path, archive in _walk(folder, outputs):
        if not archive and _NOT_POSTS.fullmatch(os.path.basename(path)):
            ignored += 1
        elif archive or extension(path) in FOLDER_EXTENSIONS or is_archive(path):
            files.append(SourceFile(path, archive or format_of(path)))
        else:
            ignored += 1
    left_out = _left_out(folder, outputs)
    if not files:
        kinds = ", ".join(sorted(FOLDER_EXTENSIONS)) + (
            _(" (besides {left_out})").format(left_out=left_out) if outputs else ""
        )
        raise TextError(
            _("{folder} contains no file of these kinds: {kinds}; check its name, or give files by name").format(
                folder=folder, kinds=kinds
            )
        )
    if outputs:
        notice(_("{folder}: left out {left_out}").format(folder=folder, left_out=left_out))
    if ignored:
        notice(_("{folder}: ignored {ignored} files of other kinds").format(folder=folder, ignored=ignored))
    return files


def _left_out(folder: str, outputs: Sequence[_Output]) -> str:
    """Return in words whose files a search of `folder` left out."""
    if len(outputs) == 1:
        return _("the files of the {kind} {folder}").format(
            kind=_(outputs[0].kind), folder=os.path.relpath(outputs[0].folder, folder)
        )
    return _("the files of {outputs} training runs, reports or cache entries").format(outputs=len(outputs))


def _walk(folder: str, outputs: list[_Output]) -> Iterator[tuple[str, FileFormat | None]]:
    """Yield the files below a folder by path, and unpacked archives with their format; no hidden or linked folders.

    Files that this package wrote are left out; their directories are appended to `outputs`.
    """
    stack = _visible(folder, outputs)  # not recursive: folders may be nested deeper than the recursion limit
    while stack:
        path = stack.pop()
        if os.path.isfile(path):
            yield path, None
        elif os.path.isdir(path):
            archive = format_of_folder(path)
            if archive:
                yield path, archive
            elif not os.path.islink(path):  # a link could lead in a circle
                stack += _visible(path, outputs)


def _visible(folder: str, outputs: list[_Output]) -> list[str]:
    """Return the paths in a folder that are neither hidden nor written by this package, in descending order."""
    names = {name for name in os.listdir(folder) if name[0] != "."}
    for kind in OUTPUT_KINDS:
        written = {name for name in names.intersection(kind.files) if os.path.isfile(os.path.join(folder, name))}
        if len(written.intersection(kind.marks)) >= 2:
            outputs.append(_Output(kind.name, folder))
            names -= written
    return [os.path.join(folder, name) for name in sorted(names, reverse=True)]


def fingerprint(paths: Paths, options: ReadingOptions) -> str:
    """Return a digest (32 hex digits) of the contents that `read_posts` reads, in order, and of the reading options.

    It does not depend on names or dates of files. Raises TextError and OSError as `read_posts` does.
    """
    digest = hashlib.blake2b(_key_of(options).encode(), digest_size=16)
    for path, file_format in files_to_read(paths, options):
        for kind, content in file_format.contents(path, options):
            inner = hashlib.blake2b(kind.encode())
            for block in content:
                inner.update(block)
            digest.update(inner.digest())
    return digest.hexdigest()


def _key_of(options: ReadingOptions) -> str:
    """Return the options as text for a digest; those of later versions only if set, so that earlier runs can resume."""
    key = f"ReadingOptions(column={options.column!r}, field={options.field!r}, encoding={options.encoding!r})"
    later = {name: value for name, value in vars(options).items() if name not in ("column", "field", "encoding")}
    given = {name: value for name, value in later.items() if value}
    return key + (repr(given) if given else "")
