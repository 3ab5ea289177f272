"""The one who acts, as a plain value that services take instead of a request or a login."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from server.errors import Forbidden

WIDTH = {"own": 0, "route": 1, "team": 2, "all": 3}


@dataclass(frozen=True)
class Actor:
    """Who acts: a member of staff, a handheld on his behalf, or the system itself.

    ``rights`` maps (resource, action) to the scope of data: own, route, team or all.
    """

    kind: str
    id: int | None
    name: str
    staff_id: int | None = None
    org_unit_id: int | None = None
    language: str = "zh_Hans"
    rights: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def may(self, resource: str, action: str) -> bool:
        """Tell whether the actor has this right in any scope; the system has all."""
        return self.kind == "system" or (resource, action) in self.rights

    def scope(self, resource: str, action: str) -> str:
        """The scope of data of a right.

        Raises:
            Forbidden: ``identity.forbidden`` without the right.
        """
        if self.kind == "system":
            return "all"
        try:
            return self.rights[resource, action]
        except KeyError:
            raise Forbidden(
                "identity.forbidden",
                "You do not have the right to do this.",
                {"resource": resource, "action": action},
            ) from None

    def require(self, resource: str, action: str) -> None:
        """Refuse with ``identity.forbidden`` unless the actor has the right."""
        self.scope(resource, action)


SYSTEM = Actor(kind="system", id=None, name="system")
