"""Writes the tables of columns in docs/import.md from the code that reads the files.

python -m scripts.import_docs
"""

from __future__ import annotations

import re
from pathlib import Path

from server.imports.catalogue import SUBJECTS
from server.imports.subject import Subject

PAGE = Path(__file__).resolve().parent.parent / "docs" / "import.md"
START, END = "<!-- columns: made by `python -m scripts.import_docs` -->", "<!-- end of columns -->"


def main() -> None:
    """Rewrite what stands between the two marks of the page."""
    PAGE.write_text(with_columns(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def with_columns(page: str) -> str:
    """The page with its tables as the code says."""
    body = "\n\n".join([START, *(section(n, each) for n, each in enumerate(SUBJECTS, 2)), END])
    pattern = re.compile(re.escape(START) + ".*" + re.escape(END), re.DOTALL)
    return pattern.sub(lambda _match: body, page)


def section(number: int, subject: Subject) -> str:
    """What the page says of one file: heading, key, columns, an example."""
    rows = [
        f"| `{c.name}` | {'yes' if c.required else ''} | {c.help} | `{c.example}` |"
        for c in subject.columns
    ]
    key = " + ".join(f"`{part.replace('|', '` or `')}`" for part in subject.key)
    header = ",".join(column.name for column in subject.columns)
    example = ",".join(_cell(column.example) for column in subject.columns)
    return "\n".join(
        [
            f"### {number}. {subject.file}",
            "",
            f"{subject.what}. A row is known by {key}.",
            "",
            "| column | must be given | meaning | example |",
            "|---|---|---|---|",
            *rows,
            "",
            "```csv",
            header,
            example,
            "```",
        ]
    )


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if re.search(r'[",]', text) else text


if __name__ == "__main__":
    main()
