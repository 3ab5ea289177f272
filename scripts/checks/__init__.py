"""What the project demands of itself beyond format, lint and types.

Each module here is a program of `make check` with a ``problems(…)`` function that returns sentences,
empty when all is well; `tests/project` holds it against small examples.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PRODUCT = ("server", "device_sim", "config", "wsgi.py")


def report(problems: Sequence[str]) -> int:
    """Print what is wrong, one sentence a line, and return the program's exit status."""
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def python_files(root: Path, *places: str) -> list[Path]:
    """The Python files under the named files and folders of ``root``, migrations' versions excepted."""
    found: list[Path] = []
    for place in places:
        path = root / place
        found += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return [path for path in found if "versions" not in path.parts]


def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file; ends the program with a sentence when it is no Python."""
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise SystemExit(f"{path}:{error.lineno}: {error.msg}") from None
