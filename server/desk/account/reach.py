"""What one person may see of an account: the scopes of several rights, read at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from server.db import Session
from server.identity.actor import Actor
from server.identity.service import team_ids
from server.rounds.scope import Scope


@dataclass
class Reach:
    """The scopes of an actor's rights; his team is read once, whatever is asked."""

    session: Session
    actor: Actor

    def of(self, resource: str, action: str = "view") -> Scope | None:
        """The scope of a right, or None without the right."""
        if not self.actor.may(resource, action):
            return None
        width = self.actor.scope(resource, action)
        return Scope(width, self.actor.staff_id, self._team if width == "team" else ())

    def require(self, resource: str, action: str = "view") -> Scope:
        """The scope of a right. Raises Forbidden ``identity.forbidden`` without the right."""
        self.actor.require(resource, action)
        found = self.of(resource, action)
        assert found is not None, "the right was required above"
        return found

    @cached_property
    def _team(self) -> tuple[int, ...]:
        return tuple(team_ids(self.session, self.actor.org_unit_id))
