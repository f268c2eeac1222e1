"""Folders, .zip and .tar files as lists of named files, with bounds against damaged and hostile ones."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from typing import Protocol

from gluon_lstm.language import _
from gluon_lstm.text.sources.encodings import TextError, read_blocks

PACKED_EXTENSIONS = (".zip", ".tar.gz", ".tgz", ".tar")
_MAX_EXTRACTED_BYTES = 4 << 30  # maximum size of all files of posts in an archive
_MAX_RATIO = 200  # maximum compression ratio: archives have about 10, zip bombs 1000
_MAX_DIRECTORY_BYTES = 32 << 20  # maximum size of a directory or of a name, which takes ten times as much in memory
_MAX_SHOWN = 100  # characters of a name in a message
_MEMBER_BYTES = 64  # what a file counts for in the directory of a tar, besides its name
_ERRORS = (  # errors of zipfile and tarfile; OSError, ValueError and OverflowError for invalid offsets
    zipfile.BadZipFile, tarfile.TarError, zlib.error, struct.error, EOFError, RuntimeError, OSError, ValueError,
    OverflowError,
)  # fmt: skip


class Container(Protocol):
    """Files of a folder or of a packed archive, by their names with slashes."""

    def names(self) -> Collection[str]:
        """Return the names of all files."""

    def check_size(self, names: Collection[str]) -> None:
        """Raise TextError when extracting these files would take too much space."""

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file in blocks. Raises TextError for a damaged or encrypted one."""

    def label(self, name: str) -> str:
        """Return the name of a file for messages."""


def shown(name: str) -> str:
    """Return the name of a file in an archive, which may have any length and contain line ends, for a message."""
    return " ".join(name.split())[:_MAX_SHOWN]


def is_packed(path: str) -> bool:
    """Return whether the name of a file is that of a packed archive."""
    return path.lower().endswith(PACKED_EXTENSIONS)


@contextlib.contextmanager
def open_container(path: str) -> Iterator[Container]:
    """Open a folder or a packed archive. Raises TextError for a file that is neither, or is damaged."""
    if os.path.isdir(path):
        yield _Folder(path)
    elif path.lower().endswith(".zip"):
        if not zipfile.is_zipfile(path):
            raise TextError(_("{path} is not a zip file, or is damaged; download it again").format(path=path))
        with _BoundedFile(path) as file, _open(zipfile.ZipFile, file, path) as archive:
            yield _Zip(path, archive)
    else:
        with (
            _open_tar_stream(path) as stream,
            _open(lambda file: tarfile.open(fileobj=file, mode="r:"), stream, path) as archive,
        ):
            yield _Tar(path, archive)


class _Folder:
    def __init__(self, path: str) -> None:
        self._path = path

    def names(self) -> Collection[str]:
        return [os.path.relpath(file, self._path).replace(os.sep, "/") for file in _files_below(self._path)]

    def check_size(self, names: Collection[str]) -> None:
        """Accept any size: nothing is extracted."""

    def blocks(self, name: str) -> Iterator[bytes]:
        with open(os.path.join(self._path, name), "rb") as file:
            yield from read_blocks(file)

    def label(self, name: str) -> str:
        return os.path.join(self._path, shown(name))


class _Packed:
    def __init__(self, path: str) -> None:
        self._path = path

    def label(self, name: str) -> str:
        return f"{self._path}: {shown(name)}"

    def _check_size(self, extracted: int) -> None:
        """Raise TextError for a zip bomb.

        Declared compressed sizes may be false, or members may share their bytes, so the ratio is computed with the size
        of the archive. No more of a member is extracted than its declared size.
        """
        compressed = os.path.getsize(self._path)
        if (extracted > 1 << 20 and extracted > _MAX_RATIO * compressed) or extracted > _MAX_EXTRACTED_BYTES:
            raise TextError(
                _(
                    "{path} would be extracted from {compressed:,} to {extracted:,} bytes, more than posts"
                    " can; if you trust it, extract the archive and give the folder"
                ).format(path=self._path, compressed=compressed, extracted=extracted)
            )


class _Zip(_Packed):
    def __init__(self, path: str, archive: zipfile.ZipFile) -> None:
        super().__init__(path)
        self._archive = archive
        # Some tools write backslashes.
        names = ((info.filename.replace("\\", "/"), info) for info in archive.infolist())
        self._members = {name: info for name, info in names if not name.endswith("/")}

    def names(self) -> Collection[str]:
        return self._members

    def check_size(self, names: Collection[str]) -> None:
        self._check_size(sum(self._members[name].file_size for name in names))

    def blocks(self, name: str) -> Iterator[bytes]:
        member, label = self._members[name], self.label(name)
        if member.flag_bits & 1:
            raise TextError(
                _("{label} is encrypted; extract the archive with its password and give the folder").format(label=label)
            )
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise TextError(
                _("{label} is compressed in an unsupported way; extract the archive and give the folder").format(
                    label=label
                )
            )
        try:
            with self._archive.open(member) as file:
                yield from read_blocks(file)
        except _ERRORS as error:
            raise _damaged(label, error) from None


class _Tar(_Packed):
    def __init__(self, path: str, archive: tarfile.TarFile) -> None:
        super().__init__(path)
        self._archive = archive
        self._members: dict[str, tarfile.TarInfo] = {}
        size = 0
        try:
            for member in archive:
                size += len(member.name) + _MEMBER_BYTES
                _check_directory_size(size, path)
                if member.isreg():
                    self._members[member.name[2:] if member.name.startswith("./") else member.name] = member
            for _ in read_blocks(archive.fileobj):  # type: ignore[arg-type]
                pass  # the checksum of a compressed archive is at its end
        except TextError:
            raise
        except _ERRORS as error:
            raise _damaged(path, error) from None

    def names(self) -> Collection[str]:
        return self._members

    def check_size(self, names: Collection[str]) -> None:
        self._check_size(sum(self._members[name].size for name in names))

    def blocks(self, name: str) -> Iterator[bytes]:
        try:
            file = self._archive.extractfile(self._members[name])
            if file is not None:
                yield from read_blocks(file)
        except TextError:
            raise
        except _ERRORS as error:
            raise _damaged(self.label(name), error) from None


def _files_below(folder: str) -> Iterator[str]:
    """Yield the files below a folder, without pipes and linked folders."""
    stack = [folder]
    while stack:
        with contextlib.suppress(OSError), os.scandir(stack.pop()) as entries:  # unreadable folders are skipped
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                elif entry.is_file():
                    yield entry.path


def _check_directory_size(size: int, path: object) -> None:
    """Raise TextError when the directory of an archive, or a name in it, takes too many bytes."""
    if size > _MAX_DIRECTORY_BYTES:
        raise TextError(
            _("{path} lists more files than an archive has; extract it and give the folder").format(path=path)
        )


class _BoundedFile(io.FileIO):
    """File that refuses large reads: a directory or name is read in one read of its declared size."""

    def read(self, size: int | None = -1) -> bytes:
        _check_directory_size(size or 0, self.name)
        return super().read(size) or b""


class _BoundedGzip(gzip.GzipFile):
    """Compressed file that refuses large reads, as `_BoundedFile`."""

    def read(self, size: int | None = -1) -> bytes:
        _check_directory_size(size or 0, self.name)
        return super().read(size)


def _open_tar_stream(path: str) -> io.RawIOBase | gzip.GzipFile:
    return _BoundedFile(path) if path.lower().endswith(".tar") else _BoundedGzip(path, "rb")


def _open(opener, file, path):  # type: ignore[no-untyped-def]
    try:
        return opener(file)
    except TextError:  # of the bounded files
        raise
    except _ERRORS as error:
        raise _damaged(path, error) from None


def _damaged(name: str, error: Exception) -> TextError:
    """Return the error for an archive, or a file in it, that cannot be extracted."""
    reason = " ".join(str(error)[:100].split())  # messages of zipfile contain names of any length
    return TextError(
        _("{name} is damaged, or compressed in an unsupported way ({reason}); download the archive again").format(
            name=name, reason=reason
        )
    )
