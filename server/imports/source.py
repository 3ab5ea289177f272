"""Reading a file: its encoding, its header, its rows one after the other with their line."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path

from server.errors import Invalid

ENCODINGS = ("utf-8-sig", "gb18030")
_BLOCK = 1 << 20


def encoding_of(path: Path) -> str:
    """The encoding of a file: UTF-8 (with or without a mark) or GB18030, by strict decoding.

    Raises:
        Invalid: ``import.encoding`` when it is neither.
    """
    for name in ENCODINGS:
        if _decodes(path, name):
            return name
    raise Invalid("import.encoding", "The file is neither UTF-8 nor GB18030.")


def _decodes(path: Path, name: str) -> bool:
    decoder = codecs.getincrementaldecoder(name)(errors="strict")
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


class Table:
    """A CSV file as its header and a stream of rows; ``line`` is that of the row's last line."""

    def __init__(self, path: Path) -> None:
        self._file = path.open(encoding=encoding_of(path), newline="")
        self._reader = csv.reader(self._file, strict=True)
        self.header = [_plain(name) for name in next(iter(self), (0, []))[1]]

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """The rows that are not empty, with the number of their line.

        Raises:
            Invalid: ``import.csv`` for what is no CSV, with the line in the details.
        """
        try:
            for cells in self._reader:
                if any(cell.strip() for cell in cells):
                    yield self._reader.line_num, cells
        except csv.Error as error:
            line = self._reader.line_num
            raise Invalid(
                "import.csv", f"The rest cannot be read: {error}.", {"line": line}
            ) from error

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _plain(name: str) -> str:
    """The name of a column however it is written: ``Account No`` is ``account_no``."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")
