"""Logs: one JSON object a line on standard output, with the request it belongs to, without secrets.

Every line has ``time``, ``level``, ``logger``, ``message`` and, inside a request, ``request_id``;
the line that ends a request also has ``method``, ``path``, ``status`` and ``ms``. Phone numbers are
masked wherever they appear; tokens and codes are cut out.
"""

from __future__ import annotations

import logging
import re
import sys
from time import perf_counter
from typing import Any, TextIO
from uuid import uuid4

import orjson
from flask import Flask, Response, g, has_request_context, request

from server import clock

REQUEST_ID = "X-Request-Id"
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{7,39}\Z")
# Quiet endpoints: monitors ask them every few seconds, and nobody reads lines that say all is well.
_QUIET = ("/health/", "/metrics", "/assets/")

# E.164 with + or 00, or a Chinese mobile number with or without its country code.
_PHONE = re.compile(
    r"(?<![0-9A-Za-z_.+-])(\+\d{2,7}|00\d{3,7}|861\d\d|1[3-9]\d)\d{4}(\d{4})"
    r"(?![0-9A-Za-z_-]|\.\d)"
)
_SECRET = re.compile(
    r"\b(fbd?)_[A-Za-z0-9_-]{8,}|(?i:\b(bearer|basic) +)[A-Za-z0-9._~+/=-]{8,}"
    r"|(?i:\b(token|password|secret|code)=)[^&\s\"']+"
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


# --- masking ------------------------------------------------------------------------------


def mask(text: str) -> str:
    """The text with phone numbers masked and secrets cut out."""
    return _PHONE.sub(r"\1****\2", _SECRET.sub(_without_secret, text))


def _without_secret(match: re.Match[str]) -> str:
    prefix, scheme, name = match.groups()
    if prefix:
        return f"{prefix}_…"
    return f"{scheme} …" if scheme else f"{name}=…"


def masked(value: Any) -> Any:
    """As :func:`mask`, for every text inside a value; keys that name a secret lose their value."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {str(k): "…" if _names_secret(str(k)) else masked(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(one) for one in value]
    if isinstance(value, bool | int | float) or value is None:
        return value
    return mask(str(value))


def _names_secret(name: str) -> bool:
    return name.lower() in {"token", "password", "secret", "secret_key", "authorization", "cookie"}


# --- lines --------------------------------------------------------------------------------


class JsonLines(logging.Formatter):
    """Writes a record as one JSON object; what was passed as ``extra`` stands beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line: dict[str, Any] = {
            "time": clock.from_ms(int(record.created * 1000)).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": mask(record.getMessage()),
            **_request_fields(),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line[name] = "…" if _names_secret(name) else masked(value)
        if record.exc_info:
            line["exception"] = mask(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _request_fields() -> dict[str, Any]:
    if not has_request_context():
        return {}
    fields = {"request_id": g.get("request_id"), "device_id": g.get("device_id")}
    fields["staff_id"] = g.get("staff_id")
    return {name: value for name, value in fields.items() if value is not None}


def to_stdout(level: str, stream: TextIO | None = None) -> None:
    """Send every record of the process to standard output as JSON lines, from a level on."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Its access lines would say again what ours say.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)


# --- requests -----------------------------------------------------------------------------


def request_id() -> str | None:
    """The id of the present request; None outside of one."""
    return g.get("request_id") if has_request_context() else None


def identify(*, staff_id: int | None = None, device_id: int | None = None) -> None:
    """Tell who acts in this request, once it is proved; every later line says so."""
    g.staff_id, g.device_id = staff_id, device_id


def install(app: Flask) -> None:
    """Give every request an id, echo it in the answer and write one line when it ends."""
    app.before_request(_begin)
    app.after_request(_end)
    # Flask's own line would show the whole path, secrets included.
    app.log_exception = _failed  # type: ignore[method-assign, assignment]


def _begin() -> None:
    given = request.headers.get(REQUEST_ID, "")
    g.request_id = given if _SANE_ID.match(given) else uuid4().hex
    g.request_began = perf_counter()


def _end(response: Response) -> Response:
    if "request_id" not in g:
        return response
    response.headers[REQUEST_ID] = g.request_id
    quiet = request.path.startswith(_QUIET) and response.status_code < 500
    logging.getLogger("server.request").log(
        logging.DEBUG if quiet else logging.INFO,
        "request",
        extra={
            "method": request.method,
            "path": shown_path(),
            "status": response.status_code,
            "ms": round((perf_counter() - g.request_began) * 1000, 1),
        },
    )
    return response


def _failed(about: Any) -> None:
    logging.getLogger("server.request").error(
        "request failed",
        exc_info=about,
        extra={"method": request.method, "path": shown_path()},
    )


def shown_path() -> str:
    """The path of the present request without its query; parts that carry a secret are cut out."""
    path = request.path
    for name, value in (request.view_args or {}).items():
        if name in ("token", "code") and isinstance(value, str) and value:
            path = path.replace(value, "…")
    return path[:200]
