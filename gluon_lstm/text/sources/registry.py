"""Registry of file formats. A new format is one new module and one line here."""

from __future__ import annotations

from gluon_lstm.text.sources.archives import Archive, XFile
from gluon_lstm.text.sources.base import FileFormat
from gluon_lstm.text.sources.car_file import CarFile
from gluon_lstm.text.sources.json_files import JsonFile, JsonLinesFile
from gluon_lstm.text.sources.line_talk import LineTalk
from gluon_lstm.text.sources.plain_text import PlainText
from gluon_lstm.text.sources.tables import CsvFile, TsvFile

FORMATS: tuple[FileFormat, ...] = (  # the first that matches is used; PlainText matches every file
    Archive(),
    XFile(),
    CsvFile(),
    TsvFile(),
    JsonFile(),
    JsonLinesFile(),
    CarFile(),
    LineTalk(),
    PlainText(),
)
FOLDER_EXTENSIONS = frozenset(extension for each in FORMATS for extension in each.extensions)  # read inside folders


def format_of(path: str) -> FileFormat:
    """Return the format of a file."""
    return next(each for each in FORMATS if each.matches(path))


def format_of_folder(path: str) -> FileFormat | None:
    """Return the format of an unpacked archive, or None for a folder that is searched for files."""
    return next((each for each in FORMATS if each.matches_folder(path)), None)
