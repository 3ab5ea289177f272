"""Failures with a stable code, a human sentence and details; docs/errors.md lists them."""

from __future__ import annotations

from typing import Any


class DomainError(Exception):
    """Something that was asked for cannot be done; ``code`` never changes its meaning."""

    status = 409

    def __init__(
        self,
        code: str,
        message: str,
        details: dict[str, Any] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details or {}
        if status is not None:
            self.status = status

    def body(self) -> dict[str, Any]:
        """The one JSON shape of a failure."""
        return {"code": self.code, "message": self.message, "details": self.details}


class Invalid(DomainError):
    """What was sent cannot be read or breaks a rule of its form."""

    status = 422


class Unauthorized(DomainError):
    """The caller has not proved who he is."""

    status = 401


class Forbidden(DomainError):
    """The caller is known and may not do this."""

    status = 403


class NotFound(DomainError):
    """There is no such thing, or none the caller may see."""

    status = 404


class Conflict(DomainError):
    """The thing exists and its state does not allow this."""

    status = 409


class TooLarge(DomainError):
    """The body is larger than the limit in ``details``."""

    status = 413
