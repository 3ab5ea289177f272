"""The JSON API's ground: its description at ``/api/v1/openapi.json`` and its one shape of errors.

flask-smorest takes over the error pages of the whole application; here its handler answers for the
JSON faces only, and everything else keeps the pages it has. What a schema does with fields it does
not know is the schema's own ``Meta.unknown``: refusing them is the default, ``EXCLUDE`` ignores them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, jsonify, request
from flask_smorest import Api
from marshmallow import Schema, fields
from werkzeug.exceptions import HTTPException, InternalServerError

from config.settings import Settings
from server import logs
from server.errors import DomainError

PREFIX = "/api/v1"
JSON_FACES = (PREFIX + "/", "/device/v1/", "/hooks/v1/")
VERSION = "1"
_PAGE = "fieldbell.error_page"


class ErrorSchema(Schema):
    """A failure: ``code`` never changes its meaning, ``message`` is for people."""

    code = fields.String(required=True, metadata={"example": "reading.unknown"})
    message = fields.String(required=True)
    details = fields.Dict(keys=fields.String(), required=True)


class JsonApi(Api):  # type: ignore[misc]  # flask-smorest ships no types
    """flask-smorest's Api with our shape of errors, and only where JSON is spoken."""

    ERROR_SCHEMA = ErrorSchema

    def _register_error_handlers(self) -> None:
        self._app.register_error_handler(HTTPException, self.handle_http_exception)
        self._app.register_error_handler(DomainError, domain_failure)

    def handle_http_exception(self, error: HTTPException) -> Any:
        """Answer a failure of the JSON faces in our shape, every other one with a page."""
        if request.path.startswith(JSON_FACES):
            return http_failure(error)
        return self._app.extensions[_PAGE](error)


def install(app: Flask, settings: Settings, page: Callable[[HTTPException], Any]) -> JsonApi:
    """Add the description and the error handlers; blueprints are registered on what is returned.

    Args:
        page: answers a failure of HTTP outside of the JSON faces.
    """
    app.extensions[_PAGE] = page
    app.config.update(
        API_TITLE="Fieldbell",
        API_VERSION=VERSION,
        OPENAPI_VERSION="3.0.3",
        OPENAPI_URL_PREFIX=PREFIX,
        OPENAPI_JSON_PATH="openapi.json",
    )
    about = "Readings, accounts and captures for other systems. Decimals travel as text, times as RFC 3339."
    api = JsonApi(
        app,
        spec_kwargs={
            "info": {"description": about},
            "servers": [{"url": settings.base_url}],
            "security": [{"bearer": []}],
        },
    )
    api.spec.components.security_scheme(
        "bearer",
        {"type": "http", "scheme": "bearer", "description": "A personal token: fb_…"},
    )
    return api


# --- failures -----------------------------------------------------------------------------


def domain_failure(error: DomainError) -> Response:
    """The answer to a failure with a code of its own."""
    response = jsonify(error.body())
    response.status_code = error.status
    wait = error.details.get("retry_after_s")
    if wait is not None:
        response.headers["Retry-After"] = str(wait)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def http_failure(error: HTTPException) -> Response:
    """The answer to a failure of HTTP itself, such as an unknown address or a body that is no JSON."""
    status = error.code or 500
    data: Mapping[str, Any] = getattr(error, "data", None) or {}
    messages = data.get("errors", data.get("messages"))
    if status == 422 and messages:
        code, message = "request.invalid", "Some fields cannot be used."
        details: dict[str, Any] = {"fields": field_paths(messages)}
    elif status == 400 and messages:
        code, message, details = "request.not_json", "The body is not valid JSON.", {}
    elif isinstance(error, InternalServerError):
        code, message = "server.error", "Something went wrong here. Nothing was changed."
        details = {"request_id": logs.request_id()}
    else:
        code = "http." + error.name.lower().replace(" ", "_").replace("-", "_")
        message, details = data.get("message") or error.description or error.name, {}
    response = jsonify({"code": code, "message": message, "details": details})
    response.status_code = status
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    for name, value in (data.get("headers") or {}).items():
        response.headers[name] = value
    return response


def field_paths(messages: Any, path: str = "") -> dict[str, list[str]]:
    """Nested messages as one level: ``{"readings.0.value": ["Not a valid number."]}``.

    The name of the body (``json``) is left out; other places such as ``query`` lead the path.
    """
    if isinstance(messages, Mapping):
        found: dict[str, list[str]] = {}
        for key, below in messages.items():
            step = "" if not path and key in ("json", "_schema") else str(key)
            inner = f"{path}.{step}" if path and step else path or step
            for name, texts in field_paths(below, inner).items():
                found.setdefault(name, []).extend(texts)
        return found
    texts = messages if isinstance(messages, list) else [messages]
    return {path or "body": [str(text) for text in texts]}
