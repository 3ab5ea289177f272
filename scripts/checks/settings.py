"""The pages about settings, made from the settings' own help: config/example.env and docs/settings.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, fields
from typing import Any

from config.settings import _TEST_NAMES, PREFIX, Settings


def example_env() -> str:
    """Every setting with its help and its default, commented out."""
    blocks = [
        f"# {_help(setting)}\n# {_name(setting)}={_default(setting)}\n"
        for setting in fields(Settings)
    ]
    head = "# Settings of an installation: uncomment what differs from the default shown.\n"
    return head + "".join(f"\n{block}" for block in blocks)


def setting_names() -> frozenset[str]:
    """Every name that may stand in the environment, those of the tests included."""
    return frozenset(_name(setting) for setting in fields(Settings)) | _TEST_NAMES


def settings_page() -> str:
    """The table of settings for the docs."""
    return "\n".join(
        [
            "# Settings",
            "",
            "Settings come from the environment; [example.env](../config/example.env) lists them to copy. A bad value or",
            "an unknown name that starts with `"
            + PREFIX
            + "` stops the start, and every problem is listed at once.",
            "",
            "| name | default | what it decides |",
            "|---|---|---|",
            *(_row(setting) for setting in fields(Settings)),
            "",
        ]
    )


def _row(setting: Field[Any]) -> str:
    default = _default(setting)
    shown = f"`{default}`" if default else "empty"
    limits = "; ".join(_limits(setting))
    return f"| `{_name(setting)}` | {shown} | {_help(setting)}{f' ({limits})' if limits else ''} |"


def _limits(setting: Field[Any]) -> Iterator[str]:
    if "choices" in setting.metadata:
        yield "one of " + ", ".join(f"`{choice}`" for choice in setting.metadata["choices"])
    if "minimum" in setting.metadata:
        yield f"{setting.metadata['minimum']:,} to {setting.metadata['maximum']:,}"


def _name(setting: Field[Any]) -> str:
    return PREFIX + setting.name.upper()


def _help(setting: Field[Any]) -> str:
    return str(setting.metadata["help"])


def _default(setting: Field[Any]) -> str:
    value = setting.default
    return str(value).lower() if isinstance(value, bool) else str(value)
