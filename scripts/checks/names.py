"""What the docs name exists: files, functions, settings, commands, make targets, tables, verdict codes.

Names count when they stand in backticks: ``server/feed.py`` is a file, ``touch()`` a function or class,
``feed.touch()`` one of that module. Where a line of a table or a paragraph names files and functions, each
function is in one of those files. Blocks marked ``json`` are JSON.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from scripts.checks import python_files, tree_of

PLACES = (
    "server",
    "device_sim",
    "config",
    "scripts",
    "tests",
    "benchmarks",
    "docs",
    "deploy",
    ".ci",
)
CODE = ("server", "device_sim", "config", "scripts", "tests", "benchmarks")

SPAN = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PATH = re.compile(rf"(?:{'|'.join(map(re.escape, PLACES))})/[\w./-]*$")
CALL = re.compile(r"(?:(\w+)\.)?(\w+)\(\)$")
SETTING = re.compile(r"\bFIELDBELL_[A-Z_]+[A-Z]\b")
TARGET = re.compile(r"(?:^|\s)make ([a-z][a-z-]*)")
VERDICT = re.compile(
    r"(?:reading|skip|item|gps|device|capture|visit|position|exchange|attachment)\.[a-z0-9_]+$"
)
SAYERS = {
    "_BadItemError": slice(0, 1),
    "_unidentified": slice(1, 2),
    "Verdict": slice(1, 2),
    "_held": slice(2, 3),
}
VERDICT_PAGE, TABLE_PAGE = Path("docs/sync-protocol.md"), Path("docs/data-model.md")
OPERATIONS_PAGE, MAP_PAGE = Path("docs/operations.md"), Path("docs/architecture.md")


@lru_cache(maxsize=4096)
def _tree(path: Path) -> ast.Module:
    return tree_of(path)


def unknown_names(root: Path, pages: list[Path], settings: frozenset[str]) -> Iterator[str]:
    """Say which names in the pages belong to nothing."""
    known = _definitions(root)
    targets = set(re.findall(r"^([a-z][a-z-]*):", (root / "Makefile").read_text(), re.MULTILINE))
    for page in pages:
        name = page.relative_to(root).as_posix()
        text = page.read_text(encoding="utf-8")
        for kind, block in FENCE.findall(text):
            if kind == "json" and not _is_json(block):
                yield f"{name}: an example is not JSON: {block[:60]!r}"
        for setting in sorted(set(SETTING.findall(text)) - settings):
            yield f"{name}: {setting} is not a setting"
        prose = FENCE.sub("", text)
        for part in _parts(prose):
            for problem in _wrong_spans(root, SPAN.findall(part), known, targets):
                yield f"{name}: {problem}"


def unlisted(root: Path) -> Iterator[str]:
    """Say which tables, verdict codes, jobs and figures of the code have no place on their page."""
    yield from _missing(root, TABLE_PAGE, tables(root), "the table")
    yield from _missing(root, OPERATIONS_PAGE, _first_texts(root, "Job"), "the job")
    yield from _missing(root, OPERATIONS_PAGE, _first_texts(root, "_Figure"), "the figure")
    yield from _missing(root, VERDICT_PAGE, verdict_codes(root), "the verdict code")
    yield from _missing(root, MAP_PAGE, parts(root), "the part")


def parts(root: Path) -> set[str]:
    """The packages and modules that lie directly in the server, those without a subject left out."""
    packages = {f"server/{p.parent.name}/" for p in root.glob("server/*/__init__.py")}
    modules = {f"server/{p.name}" for p in root.glob("server/*.py")}
    return (packages | modules) - {"server/__init__.py"}


def tables(root: Path) -> set[str]:
    """The tables of the database by their names in the models."""
    found = set()
    for path in python_files(root, "server"):
        for node in ast.walk(_tree(path)):
            value = node.value if isinstance(node, ast.Assign) else None
            if isinstance(value, ast.Constant) and _assigned(node) == "__tablename__":
                found.add(str(value.value))
    return found


def _first_texts(root: Path, called: str) -> set[str]:
    """The first arguments of every call of something that are plain texts."""
    calls = (node for path in python_files(root, "server") for node in ast.walk(_tree(path)))
    first = [
        node.args[0]
        for node in calls
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == called and node.args
    ]
    return {str(text.value) for text in first if isinstance(text, ast.Constant)}


def verdict_codes(root: Path) -> set[str]:
    """The codes a device may get with a verdict: keys of every MESSAGES, and those of the ingest."""
    found: set[object] = set()
    for path in python_files(root, "server"):
        capture = path.parent.name == "capture" and path.name in ("parse.py", "ingest.py")
        says = capture or path.parent.name == "handlers"
        for node in ast.walk(_tree(path)):
            if says and isinstance(node, ast.Call):
                found |= _told(node)
            elif _assigned(node) == "MESSAGES" and isinstance(node, ast.Assign | ast.AnnAssign):
                keys = node.value.keys if isinstance(node.value, ast.Dict) else []
                found |= {key.value for key in keys if isinstance(key, ast.Constant)}
    return {code for code in found if isinstance(code, str) and VERDICT.match(code)}


def _told(call: ast.Call) -> set[object]:
    """The texts a call hands to a verdict, without the field, which may look like a code."""
    places = SAYERS.get(getattr(call.func, "id", ""), slice(0, 0))
    return {argument.value for argument in call.args[places] if isinstance(argument, ast.Constant)}


def _assigned(node: ast.AST) -> str:
    """The name an assignment gives a value to; empty for anything else."""
    if isinstance(node, ast.Assign):
        target: ast.expr = node.targets[0]
    elif isinstance(node, ast.AnnAssign):
        target = node.target
    else:
        return ""
    return target.id if isinstance(target, ast.Name) else ""


def _missing(root: Path, page: Path, wanted: set[str], what: str) -> Iterator[str]:
    file = root / page
    shown = set(SPAN.findall(file.read_text(encoding="utf-8"))) if file.exists() else set()
    for name in sorted(wanted - shown):
        yield f"{page}: {what} {name} is not on it"


def _parts(prose: str) -> Iterator[str]:
    """Rows of tables and items of lists one by one, everything else by paragraph."""
    return iter(re.split(r"\n\s*\n|\n(?=\s*(?:\||[-*] |\d+\. ))", prose))


def _wrong_spans(
    root: Path, spans: list[str], known: Mapping[str, frozenset[str]], targets: set[str]
) -> Iterator[str]:
    paths = [span for span in spans if PATH.match(span)]
    yield from (f"there is no {path}" for path in paths if not (root / path).exists())
    files = [path for path in paths if path.endswith(".py")]
    for span in spans:
        match = CALL.match(span)
        if match and not _is_defined(match[1], match[2], files, known):
            where = f" in {', '.join(files)}" if files else ""
            yield f"nothing is called {span}{where}"
        for target in TARGET.findall(span):
            if target not in targets:
                yield f"there is no `make {target}`"


def _is_defined(
    module: str | None, name: str, files: list[str], known: Mapping[str, frozenset[str]]
) -> bool:
    if module:
        homes = [n for n in known if Path(n).stem == module or Path(n).parent.name == module]
        return any(name in known[n] for n in homes)
    return any(name in known.get(n, ()) for n in files or known)


def _definitions(root: Path) -> dict[str, frozenset[str]]:
    """The functions, methods and classes of every file, by the file's path."""
    return {
        path.relative_to(root).as_posix(): _defined_in(path) for path in python_files(root, *CODE)
    }


@lru_cache(maxsize=2048)
def _defined_in(path: Path) -> frozenset[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(node.name for node in ast.walk(_tree(path)) if isinstance(node, kinds))


def _is_json(block: str) -> bool:
    try:
        json.loads(block)
    except ValueError:
        return False
    return True
