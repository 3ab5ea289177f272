"""What others may do with notices: queue them, withdraw them, word them, rule them, set gateways up."""

from __future__ import annotations

from server.notify.service.fan_outs import (
    Announcement,
    Recipient,
    announce,
    cancel_fan_out,
    keys_from,
    next_slice,
    resume_fan_out,
)
from server.notify.service.gateways import (
    Price,
    Terms,
    drop_price,
    prices,
    put_gateway,
    put_price,
    put_terms,
    reseal_gateways,
)
from server.notify.service.messages import Notice, Preview, cancel, cancel_many, enqueue, preview
from server.notify.service.policies import drop_holidays, put_holidays, put_policy
from server.notify.service.templates import (
    TemplatePreview,
    preview_template,
    put_template,
    template_versions,
)

__all__ = [
    "Announcement",
    "Notice",
    "Preview",
    "Price",
    "Recipient",
    "TemplatePreview",
    "Terms",
    "announce",
    "cancel",
    "cancel_fan_out",
    "cancel_many",
    "drop_holidays",
    "drop_price",
    "enqueue",
    "keys_from",
    "next_slice",
    "preview",
    "preview_template",
    "prices",
    "put_gateway",
    "put_holidays",
    "put_policy",
    "put_price",
    "put_template",
    "put_terms",
    "reseal_gateways",
    "resume_fan_out",
    "template_versions",
]
