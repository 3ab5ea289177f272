"""The roles every installation starts with; an administrator may change them later.

Each line is a resource with its actions; the scope says whose data. Sources of the list: the
roles of utilities' and distributors' systems (administrator … auditor).
"""

from __future__ import annotations

RESOURCES: dict[str, tuple[str, ...]] = {
    "today": ("view",),
    "map": ("view",),
    "tracks": ("view",),
    "accounts": ("view", "edit", "import"),
    "readings": ("view", "capture", "release", "export"),
    "review": ("view", "decide"),
    "captures": ("view", "export"),
    "routes": ("view", "edit"),
    "bills": ("view", "issue", "cancel"),
    "tariff": ("view", "edit"),
    "ledger": ("view", "close", "reopen", "export"),
    "payment": ("view", "receive", "reverse", "assign", "refund", "approve"),
    "till": ("view", "use", "approve"),
    "dues": ("view", "dispute", "order", "rules"),
    "messages": ("view", "send"),
    "devices": ("view", "enrol", "revoke"),
    "staff": ("view", "edit"),
    "audit": ("view",),
    "settings": ("view", "edit"),
}

VIEW: dict[str, tuple[str, ...]] = dict.fromkeys(RESOURCES, ("view",))

DEFAULT_ROLES: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "admin": ("all", RESOURCES),
    "manager": (
        "team",
        {
            "today": ("view",),
            "map": ("view",),
            "tracks": ("view",),
            "accounts": ("view",),
            "readings": ("view", "capture", "release", "export"),
            "review": ("view", "decide"),
            "captures": ("view",),
            "routes": ("view", "edit"),
            "bills": ("view",),
            "tariff": ("view",),
            "messages": ("view",),
            "devices": ("view", "enrol", "revoke"),
            "staff": ("view",),
            "payment": ("view", "approve"),
            "till": ("view", "approve"),
            "dues": ("view", "dispute", "order"),
        },
    ),
    "billing_clerk": (
        "all",
        {
            "today": ("view",),
            "accounts": ("view", "edit", "import"),
            "readings": ("view", "capture", "release", "export"),
            "review": ("view", "decide"),
            "routes": ("view",),
            "bills": ("view", "issue", "cancel"),
            "tariff": ("view",),
            "payment": ("view",),
            "dues": ("view", "dispute"),
            "messages": ("view", "send"),
        },
    ),
    "dispatcher": (
        "team",
        {
            "today": ("view",),
            "map": ("view",),
            "tracks": ("view",),
            "accounts": ("view",),
            "readings": ("view",),
            "review": ("view",),
            "routes": ("view",),
            "messages": ("view", "send"),
            "devices": ("view",),
        },
    ),
    "meter_reader": (
        "own",
        {
            "today": ("view",),
            "map": ("view",),
            "readings": ("view", "capture"),
            "routes": ("view",),
        },
    ),
    "repair": ("own", {"today": ("view",), "map": ("view",)}),
    "seller": ("own", {"today": ("view",), "map": ("view",), "routes": ("view",)}),
    "cashier": (
        "all",
        {
            "today": ("view",),
            "accounts": ("view",),
            "bills": ("view",),
            "payment": ("view", "receive", "refund"),
            "till": ("view", "use"),
            "dues": ("view",),
        },
    ),
    "accountant": (
        "all",
        {
            "today": ("view",),
            "accounts": ("view",),
            "bills": ("view",),
            "tariff": ("view", "edit"),
            "ledger": ("view", "export"),
            "payment": ("view", "receive", "reverse", "assign", "refund", "approve"),
            "till": ("view", "approve"),
            "dues": ("view", "dispute", "order", "rules"),
            "review": ("view", "decide"),
        },
    ),
    "account_manager": (
        "route",
        {
            "today": ("view",),
            "map": ("view",),
            "accounts": ("view",),
            "readings": ("view",),
            "routes": ("view",),
            "bills": ("view",),
            "messages": ("view",),
        },
    ),
    "auditor": ("all", VIEW),
}


def default_rights(role: str) -> dict[tuple[str, str], str]:
    """The rights of a default role: (resource, action) → scope."""
    scope, grants = DEFAULT_ROLES[role]
    return {(resource, action): scope for resource, actions in grants.items() for action in actions}
