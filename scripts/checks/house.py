"""House rules that no linter knows: one place commits, nothing of a machine is committed, sizes stay readable."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.checks import ROOT, python_files, report, tree_of

COMMITS_IN = "server/db"
LONGEST_FILE = 500
LONGEST_FUNCTION = 60
# Written so that this file does not find itself.
MACHINE = re.compile(
    "|".join(
        (
            r"(?<![\w.])/(?:root|work)/[\w.]",
            r"/home/(?!fieldbell\b)[a-z]",
            r"\bindex-" + r"url\b",
            r"\bpythonhosted\b|\bregistry\.npm" + r"js\b|\bpypi\." + r"org\b",
        )
    )
)


def problems(root: Path, files: list[Path]) -> list[str]:
    """Say which house rules the files of the project at ``root`` break."""
    found = list(_machine_words(root, files))
    for path in python_files(root, "server", "device_sim", "config", "scripts", "benchmarks"):
        name = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8")
        tree = tree_of(path)
        found += [f"{name}:{line}: only {COMMITS_IN} commits" for line in _commits(name, tree)]
        found += _too_long(name, text, tree)
    return found


def _machine_words(root: Path, files: list[Path]) -> Iterator[str]:
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            word = MACHINE.search(line)
            if word:
                yield f"{path.relative_to(root)}:{number}: {word.group()!r} belongs to one machine"


def _commits(name: str, tree: ast.AST) -> Iterator[int]:
    """Lines of ``name`` where a session is committed although the file is not the one that may."""
    if not name.startswith("server/") or name.startswith(
        (f"{COMMITS_IN}.", f"{COMMITS_IN}/", "server/migrations/")
    ):
        return
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr == "commit":
            yield called.lineno


def _too_long(name: str, text: str, tree: ast.AST) -> Iterator[str]:
    lines = text.count("\n")
    if lines > LONGEST_FILE:
        yield f"{name}: {lines} lines; above {LONGEST_FILE} a file becomes a folder"
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            if size > LONGEST_FUNCTION:
                yield f"{name}:{node.lineno}: {node.name} has {size} lines; split it"


def tracked_files(root: Path) -> list[Path]:
    """The files that git knows, or will know once they are added."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    return [root / name for name in listed.stdout.split("\0") if name]


if __name__ == "__main__":
    sys.exit(report(problems(ROOT, tracked_files(ROOT))))
