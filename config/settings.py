"""Settings as data: every field has a default, a help text and a reader.

``Settings.from_env()`` is the only place that reads the environment. A bad value stops the
start and every problem is listed at once, not one per attempt.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

PREFIX = "FIELDBELL_"


class BadSettings(Exception):
    """Raised with every problem found in the settings, one per line."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("settings cannot be used:\n  " + "\n  ".join(problems))


def _setting(default: Any, help_text: str, **limits: Any) -> Any:
    """Declare a setting with its help and, for numbers, its limits."""
    return field(default=default, metadata={"help": help_text, **limits})


@dataclass(frozen=True)
class Settings:
    """Everything an installation may decide; names in the environment are FIELDBELL_<FIELD>."""

    database_url: str = _setting(
        "sqlite:///var/fieldbell.db",
        "SQLAlchemy address of the database: sqlite:///file or postgresql+psycopg://…",
    )
    var_dir: Path = _setting(Path("var"), "Folder for files the server writes: blobs, logs, demo.")
    secret_key: str = _setting(
        "",
        "Key that signs sessions; at least 32 characters. Empty: one is made and kept in var.",
        secret=True,
    )
    sealing_keys: str = _setting(
        "",
        "Keys that seal the secrets of gateways, newest first, with commas between; at least 32 "
        "characters each. Empty: one is derived from the secret key.",
        secret=True,
    )
    base_url: str = _setting(
        "http://127.0.0.1:8000", "Address under which people and handhelds reach the server."
    )
    bind: str = _setting("127.0.0.1:8000", "Address and port the web processes listen on.")
    web_workers: int = _setting(2, "Web processes; as many as cores.", minimum=1, maximum=64)
    web_threads: int = _setting(4, "Threads per web process.", minimum=1, maximum=64)
    trusted_proxies: int = _setting(
        0, "How many reverse proxies in front are trusted for X-Forwarded-*.", minimum=0, maximum=5
    )
    secure_cookies: bool = _setting(False, "Send cookies over HTTPS only; true behind TLS.")
    require_second_factor: bool = _setting(
        False, "Administrators and managers sign in with a second factor; others may."
    )
    default_language: str = _setting(
        "zh_Hans", "Language of the console before a person chooses.", choices=("zh_Hans", "en")
    )
    log_level: str = _setting(
        "INFO", "Least level that is logged.", choices=("DEBUG", "INFO", "WARNING", "ERROR")
    )
    max_push_items: int = _setting(
        500, "Items a device may send in one push.", minimum=1, maximum=5000
    )
    max_track_points: int = _setting(
        5000, "Track points a device may send in one push.", minimum=1, maximum=50000
    )
    max_body_bytes: int = _setting(
        8 * 1024 * 1024,
        "Largest request body of the device protocol after inflating, in bytes.",
        minimum=64 * 1024,
        maximum=256 * 1024 * 1024,
    )
    max_attachment_bytes: int = _setting(
        20 * 1024 * 1024,
        "Largest photo or document of an item, in bytes; the item of a larger one still counts.",
        minimum=64 * 1024,
        maximum=1024 * 1024 * 1024,
    )
    attachment_deadline_hours: int = _setting(
        72,
        "Hours after which a photo or document that has not come is shown for review.",
        minimum=1,
        maximum=720,
    )
    pull_page_size: int = _setting(
        500, "Documents in a page of a pull when the device does not say.", minimum=1, maximum=5000
    )
    enrol_code_hours: int = _setting(
        24, "Hours an enrolment code can be used.", minimum=1, maximum=720
    )
    device_silent_hours: int = _setting(
        24, "Hours without contact after which a handheld counts as silent.", minimum=1, maximum=720
    )
    gap_minutes: int = _setting(
        60,
        "Minutes a number missing among a handheld's items may be late before the office hears.",
        minimum=1,
        maximum=10080,
    )
    bill_due_days: int = _setting(
        15, "Days from issue to the due date of a bill.", minimum=0, maximum=120
    )
    bill_correction_limit: int = _setting(
        1000,
        "Amount above which a second person decides about cancelling or crediting bills.",
        minimum=0,
        maximum=1_000_000_000,
    )
    geocoder_url: str = _setting(
        "", "Nominatim-compatible geocoder for addresses without a position; empty: none."
    )
    geocoder_user_agent: str = _setting(
        "fieldbell", "Name the server gives itself to the geocoder."
    )
    inbound_part_minutes: int = _setting(
        15,
        "Minutes a long text from a phone may wait for its missing parts.",
        minimum=10,
        maximum=30,
    )
    inbound_retention_days: int = _setting(
        180, "Days that the words of texts from phones are kept.", minimum=1, maximum=3650
    )
    message_retention_days: int = _setting(
        400,
        "Days after which messages lose their number and text; counts and costs stay.",
        minimum=30,
        maximum=3650,
    )
    replies_per_hour: int = _setting(
        20, "Automatic answers that one phone gets in an hour.", minimum=0, maximum=1000
    )
    answer_strangers: bool = _setting(
        False, "Answer phones that no customer has given, telling them only that."
    )
    track_retention_days: int = _setting(
        180, "Days that track points are kept.", minimum=1, maximum=3650
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from the environment.

        Raises:
            BadSettings: with every problem, unknown FIELDBELL_ names included.
        """
        environ = os.environ if environ is None else environ
        known = {PREFIX + f.name.upper(): f for f in fields(cls)}
        problems = [
            f"{name} is not a setting; see config/example.env"
            for name in sorted(environ)
            if name.startswith(PREFIX) and name not in known and name not in _TEST_NAMES
        ]
        values: dict[str, Any] = {}
        for name, f in known.items():
            if name in environ:
                try:
                    values[f.name] = _read(environ[name], f.default, f.metadata)
                except ValueError as error:
                    problems.append(f"{name}: {error}")
        if not problems:
            settings = cls(**values)
            problems = settings.problems()
            if not problems:
                return settings
        raise BadSettings(problems)

    def sealing_key_list(self) -> tuple[str, ...]:
        """The sealing keys one by one, newest first."""
        return tuple(key.strip() for key in self.sealing_keys.split(",") if key.strip())

    def problems(self) -> list[str]:
        """Say what is wrong with values that are readable but cannot work together."""
        found = []
        if self.secret_key and len(self.secret_key) < 32:
            found.append(f"{PREFIX}SECRET_KEY: needs at least 32 characters")
        if any(len(key) < 32 for key in self.sealing_key_list()):
            found.append(f"{PREFIX}SEALING_KEYS: each key needs at least 32 characters")
        if not self.database_url.startswith(("sqlite:///", "postgresql+psycopg://")):
            found.append(
                f"{PREFIX}DATABASE_URL: must start with sqlite:/// or postgresql+psycopg://"
            )
        if not self.base_url.startswith(("http://", "https://")):
            found.append(f"{PREFIX}BASE_URL: must start with http:// or https://")
        return found


_TEST_NAMES = frozenset(
    {
        PREFIX + "TEST_POSTGRES_URL",
        PREFIX + "REQUIRE_POSTGRES",
        PREFIX + "REQUIRE_BROWSER",
    }
)


def _read(text: str, default: Any, limits: Mapping[str, Any]) -> Any:
    """Turn the text of one setting into its type and check its limits."""
    if isinstance(default, bool):
        return _read_bool(text)
    if isinstance(default, int):
        return _read_int(text, limits)
    if isinstance(default, Path):
        return Path(text)
    choices = limits.get("choices")
    if choices and text not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}, not {text!r}")
    return text


def _read_bool(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    try:
        return words[text.strip().lower()]
    except KeyError:
        raise ValueError(f"must be true or false, not {text!r}") from None


def _read_int(text: str, limits: Mapping[str, Any]) -> int:
    try:
        value = int(text)
    except ValueError:
        raise ValueError(f"must be a whole number, not {text!r}") from None
    low, high = limits["minimum"], limits["maximum"]
    if not low <= value <= high:
        raise ValueError(f"must be between {low} and {high}, not {value}")
    return value
