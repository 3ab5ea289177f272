"""The console's texts: what the code says is in the template, and what is in it is translated.

The code speaks English; ``server/translations/<language>/LC_MESSAGES/messages.po`` holds the other
languages. ``--update`` collects new texts into the template and the catalogues (`make translations`).
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from scripts.checks import ROOT, report

MAPPING = Path("config/babel.cfg")
FOLDER = Path("server/translations")
TEMPLATE = FOLDER / "messages.pot"
KEYWORDS = {**DEFAULT_KEYWORDS, "lazy_gettext": None, "lazy_ngettext": (1, 2), "_l": None}


def problems(root: Path) -> list[str]:
    """Say which texts are not collected, not translated, doubtful or cannot be compiled."""
    texts = collect(root)
    if not len(texts):
        return []
    if not (root / TEMPLATE).exists():
        return [f"{TEMPLATE} is missing: make translations"]
    written = _read(root / TEMPLATE)
    found = [f"{TEMPLATE}: lacks {text!r}: make translations" for text in _ids(texts, written)]
    found += [f"{TEMPLATE}: nobody says {text!r} any more" for text in _ids(written, texts)]
    for file in catalogues(root):
        found += _problems_of(file.relative_to(root), _read(file), texts)
    return found


def collect(root: Path) -> Catalog:
    """Every text that the code and the templates of the server mark for translation."""
    with (root / MAPPING).open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    catalog = Catalog(project="Fieldbell", charset="utf-8")
    for name, line, text, comments, context in extract_from_dir(
        str(root), methods, options, keywords=KEYWORDS, comment_tags=("TRANSLATORS:",)
    ):
        place = [(Path(name).as_posix(), line)]
        catalog.add(text, None, place, auto_comments=comments, context=context)
    return catalog


def catalogues(root: Path) -> list[Path]:
    """The catalogue of each language."""
    return sorted((root / FOLDER).glob("*/LC_MESSAGES/messages.po"))


def update(root: Path) -> None:
    """Write the template anew and merge it into every catalogue; no text is guessed."""
    texts = collect(root)
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    _write(root / TEMPLATE, texts)
    for file in catalogues(root):
        catalog = _read(file)
        catalog.update(texts, no_fuzzy_matching=True)
        catalog.obsolete.clear()
        _write(file, catalog)


def _problems_of(name: Path, catalog: Catalog, texts: Catalog) -> Iterator[str]:
    for text in _ids(texts, catalog):
        yield f"{name}: lacks {text!r}: make translations"
    for message in catalog:
        if message.id and not _is_translated(message):
            yield f"{name}: {message.id!r} is not translated"
        elif message.id and message.fuzzy:
            yield f"{name}: {message.id!r} is marked fuzzy"
        for error in message.check(catalog) if message.id else ():
            yield f"{name}: {message.id!r}: {error}"
    try:
        write_mo(io.BytesIO(), catalog)
    except (ValueError, TypeError) as error:
        yield f"{name}: cannot be compiled: {error}"


def _is_translated(message: Message) -> bool:
    texts = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
    return bool(texts) and all(texts)


def _ids(catalog: Catalog, other: Catalog) -> list[object]:
    """Texts of ``catalog`` that ``other`` does not have."""
    have = {(message.id, message.context) for message in other}
    return [m.id for m in catalog if m.id and (m.id, m.context) not in have]


def _read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=_locale(path))


def _locale(path: Path) -> str | None:
    return None if path.suffix == ".pot" else path.parent.parent.name


def _write(path: Path, catalog: Catalog) -> None:
    """Write without line numbers and dates, so that a change shows only its texts."""
    with path.open("wb") as file:
        write_po(
            file,
            catalog,
            width=100,
            sort_output=True,
            omit_header=path.suffix == ".pot",
            include_lineno=False,
        )


def main(arguments: list[str]) -> int:
    """Check this project, or collect its texts with --update."""
    if "--update" in arguments:
        update(ROOT)
        return 0
    return report(problems(ROOT))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
