"""What is imported is pinned, what is pinned is exact, and the pins are a whole closure."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import packages_distributions
from pathlib import Path

from scripts.checks import PRODUCT, ROOT, python_files, report, tree_of

INDIRECT = "# What those need"
OWN = {"server", "device_sim", "config", "scripts", "tests", "benchmarks", "wsgi"}
PIN = re.compile(r"^[a-z0-9-]+==[0-9][0-9a-z.]*$")


def problems(root: Path, distributions: Mapping[str, Sequence[str]]) -> list[str]:
    """Say what is wrong with the pins of the project at ``root``.

    Args:
        distributions: which packages bring which top-level module, as importlib.metadata tells it.
    """
    direct = direct_pins((root / "requirements.txt").read_text(encoding="utf-8"))
    found = [
        f"requirements.txt: {module} is imported by {where}, and no direct pin brings it"
        for module, where in sorted(imported_modules(root).items())
        if not {_normal(name) for name in distributions.get(module, ())} & direct
    ]
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-npm.txt"):
        lines = _requirements((root / name).read_text(encoding="utf-8"))
        found += [f"{name}: {line} is not an exact pin" for line in lines if not PIN.match(line)]
    lock = (root / "package-lock.json").read_text(encoding="utf-8")
    if '"resolved"' in lock:
        found.append("package-lock.json: holds download addresses; see .npmrc")
    return found


def direct_pins(text: str) -> set[str]:
    """The packages that requirements.txt lists because the code imports them."""
    return {line.partition("==")[0] for line in _requirements(text.partition(INDIRECT)[0])}


def imported_modules(root: Path) -> dict[str, str]:
    """Third-party top-level modules that the product imports, with one file that does."""
    found: dict[str, str] = {}
    for path in python_files(root, *PRODUCT):
        tree = tree_of(path)
        for module in _imports(tree):
            top = module.partition(".")[0]
            if top not in OWN and top not in sys.stdlib_module_names:
                found.setdefault(top, str(path.relative_to(root)))
    return found


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _requirements(text: str) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("-r ")]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    """Check this project; also asks pip whether the installed packages fit together."""
    closure = subprocess.run(
        [sys.executable, "-m", "pip", "check", "--disable-pip-version-check"],
        check=False,
        capture_output=True,
        text=True,
    )
    missing = closure.stdout.splitlines() if closure.returncode else []
    return report([*problems(ROOT, packages_distributions()), *missing])


if __name__ == "__main__":
    sys.exit(main())
