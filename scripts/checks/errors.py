"""The page of error codes, made from where the code raises them: docs/errors.md."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.checks import python_files, tree_of

BASE = "DomainError"
CODE = re.compile(r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$")


@dataclass(frozen=True, order=True)
class Raised:
    """One place that raises an error: its code, HTTP status and sentence (… where it is filled in)."""

    code: str
    status: int
    sentence: str


def errors_page(root: Path) -> str:
    """The table of codes for the docs, by area."""
    by_code: dict[str, list[Raised]] = defaultdict(list)
    for raised in sorted(raised_errors(root)):
        by_code[raised.code].append(raised)
    lines = [
        "# Error codes",
        "",
        'Every failure has one shape: `{"code": "…", "message": "…", "details": {…}}`. A code never changes its meaning;',
        "the message is for people and may. Where a code is listed with a dash, its message is made where it happens.",
        "",
        "Codes that come with a verdict about an item stand in [the device protocol](sync-protocol.md#verdicts), what a",
        "device does about each status [there as well](sync-protocol.md#status-codes), and those of an import's bad rows in",
        "[import](import.md).",
        "",
        "| code | status | message |",
        "|---|---|---|",
    ]
    for code, places in by_code.items():
        statuses = ", ".join(str(status) for status in sorted({place.status for place in places}))
        sentences = " / ".join(dict.fromkeys(p.sentence for p in places if p.sentence)) or "–"
        lines.append(f"| `{code}` | {statuses} | {sentences.replace('|', '∣')} |")
    return "\n".join([*lines, ""])


def raised_errors(root: Path) -> set[Raised]:
    """Every error with a code that stands in the server's code."""
    trees = [tree_of(path) for path in python_files(root, "server")]
    statuses = _statuses(trees)
    named = _named_codes(trees)
    return {raised for tree in trees for raised in _raised(tree, statuses, named)}


def _named_codes(trees: list[ast.Module]) -> dict[str, str]:
    """The codes that stand in constants of modules, by the constant's name."""
    return {
        target.id: str(node.value.value)
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and CODE.match(str(node.value.value))
    }


def _statuses(trees: list[ast.Module]) -> dict[str, int]:
    """The HTTP status of DomainError and of each class made from it."""
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    statuses: dict[str, int] = {}
    for _ in range(4):  # deep enough for classes made from classes made from DomainError
        for node in classes:
            above = [b.id for b in node.bases if isinstance(b, ast.Name) and b.id in statuses]
            if node.name == BASE or above:
                statuses[node.name] = _own_status(node) or statuses.get("".join(above[:1]), 409)
    return statuses


def _own_status(node: ast.ClassDef) -> int | None:
    """The number that a class gives to ``status``, in its body or as it calls the class above."""
    for part in ast.walk(node):
        value: ast.expr | None = None
        if isinstance(part, ast.keyword) and part.arg == "status":
            value = part.value
        elif isinstance(part, ast.Assign | ast.AnnAssign):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            if any(isinstance(target, ast.Name) and target.id == "status" for target in targets):
                value = part.value
        if isinstance(value, ast.Constant) and isinstance(value.value, int):
            return value.value
    return None


def _raised(tree: ast.Module, statuses: dict[str, int], named: dict[str, str]) -> Iterator[Raised]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, (ast.Name, ast.Attribute)):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        if name not in statuses:
            continue
        arguments = {word.arg: word.value for word in node.keywords if word.arg}
        arguments |= dict(zip(("code", "message", "details", "status"), node.args, strict=False))
        code = _text(arguments.get("code")) or named.get(_last_name(arguments.get("code")), "")
        status = arguments.get("status")
        given = status.value if isinstance(status, ast.Constant) else None
        if CODE.match(code):
            number = given if isinstance(given, int) else statuses[name]
            yield Raised(code, number, _text(arguments.get("message")))


def _last_name(node: ast.expr | None) -> str:
    """The name of a constant, with or without its module before it."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.expr | None) -> str:
    """The text of a literal; … stands for what an f-string fills in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
        )
    return ""
