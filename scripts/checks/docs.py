"""What is public is documented: links and names lead somewhere; settings, codes, tables, commands are on their pages.

``--write`` writes the pages that are made from the code: config/example.env and docs/settings.md from the
settings, docs/errors.md from the errors, docs/commands.md from the commands (`make docs`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.checks import ROOT, report
from scripts.checks.commands import commands_page, product_commands, without_help
from scripts.checks.errors import errors_page
from scripts.checks.names import unknown_names, unlisted
from scripts.checks.settings import example_env, setting_names, settings_page

LINK = re.compile(r"(?<!!)!?\[[^\]\n]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def made_pages(root: Path) -> dict[Path, str]:
    """The pages that are made from the code, as they should be."""
    return {
        root / "config" / "example.env": example_env(),
        root / "docs" / "settings.md": settings_page(),
        root / "docs" / "errors.md": errors_page(root),
        root / "docs" / "commands.md": commands_page(product_commands()),
    }


def stale_pages(pages: dict[Path, str], root: Path) -> Iterator[str]:
    """Say which made pages are missing or do not say what the code says."""
    for path, text in pages.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            yield f"{path.relative_to(root)} does not say what the code says: make docs"


def broken_links(root: Path, pages: list[Path]) -> Iterator[str]:
    """Say which relative links of the Markdown pages lead nowhere, their headings included."""
    for page in pages:
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        for target in LINK.findall(text):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, heading = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            name = page.relative_to(root)
            if not file.exists():
                yield f"{name}: the link to {target} leads nowhere"
            elif heading and file.suffix == ".md" and heading not in anchors(file):
                yield f"{name}: {target} has no such heading"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return {_anchor(heading) for heading in HEADING.findall(text)}


def _anchor(heading: str) -> str:
    plain = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return plain.strip().replace(" ", "-")


def problems(root: Path) -> list[str]:
    """Everything that is wrong with the docs of the project at ``root``."""
    pages = sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md")])
    pages += [
        page for page in root.glob("*/README.md") if page.parent.name not in ("docs", ".venv")
    ]
    return [
        *stale_pages(made_pages(root), root),
        *broken_links(root, pages),
        *unknown_names(root, pages, setting_names()),
        *unlisted(root),
        *without_help(product_commands()),
    ]


def write(root: Path) -> None:
    """Write the pages that are made from the code."""
    for path, text in made_pages(root).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Check this project's docs, or write the made pages with --write."""
    if "--write" in arguments:
        write(ROOT)
        return 0
    return report(problems(ROOT))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
