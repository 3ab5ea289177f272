"""first tables

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from server.migrations.append_only import append_only_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


APPEND_ONLY: dict[str, tuple[str, ...]] = {
    "audit_event": (
        "created_at",
        "actor_kind",
        "actor_id",
        "action",
        "subject_type",
        "subject_id",
        "before",
        "after",
    ),
    "bill": (
        "created_at",
        "bill_no",
        "account_id",
        "period",
        "period_from",
        "period_to",
        "quantity",
        "total",
        "balance_after",
        "due",
        "issued_at",
        "kind",
        "estimated",
        "cancels_id",
        "credits_id",
        "replaces_id",
        "run_id",
        "reason",
        "issued_by_id",
        "tariff_version_id",
    ),
    "bill_line": (
        "bill_id",
        "position",
        "component",
        "kind",
        "tariff_version_id",
        "days",
        "register_kind",
        "usage_year",
        "quantity",
        "price",
        "amount",
        "cumulative_before",
        "reading_from",
        "reading_to",
    ),
    "journal": ("created_at", "source_key", "kind", "posted_at", "reverses_id"),
    "ledger_line": ("created_at", "journal_id", "ledger", "account_id", "unit", "debit", "credit"),
    "tariff_version": ("tariff_id", "valid_from", "definition"),
    "capture_event": (
        "uuid",
        "device_id",
        "staff_id",
        "seq",
        "type",
        "captured_at",
        "received_at",
        "payload",
        "payload_hash",
    ),
    "capture_variant": ("uuid", "device_id", "payload", "payload_hash", "received_at"),
    "capture_reject": ("device_id", "body", "code", "received_at"),
    "attachment": ("capture_uuid", "position", "device_id", "sha256", "size", "type", "name"),
    "field_note": ("capture_uuid", "staff_id", "noted_at", "subject_type", "subject_id", "text"),
    "payment": (
        "created_at",
        "receipt_no",
        "channel",
        "method",
        "amount",
        "unit",
        "external_ref",
        "content_hash",
        "paid_at",
        "device_receipt",
        "capture_uuid",
        "staff_id",
        "till_session_id",
        "journal_id",
    ),
    "allocation": (
        "created_at",
        "account_id",
        "payment_id",
        "bill_id",
        "refund_id",
        "part",
        "amount",
        "day",
        "releases_id",
    ),
    "late_fee": (
        "created_at",
        "account_id",
        "bill_id",
        "through",
        "amount",
        "detail",
        "journal_id",
    ),
    "bank_row": ("bank_file_id", "position", "reference", "account_no", "amount", "fields"),
    "dunning_step": ("created_at", "account_id", "bill_id", "step", "amount", "fee"),
    "balance_alarm": (
        "created_at",
        "key",
        "account_id",
        "kind",
        "balance",
        "remaining",
        "threshold",
        "measure",
    ),
    "dues_rules": ("created_at", "definition", "staff_id"),
    "interval_reading": (
        "created_at",
        "service_point_id",
        "installation_id",
        "register_kind",
        "read_at",
    ),
    "interval_correction": (
        "created_at",
        "interval_reading_id",
        "value_before",
        "value_after",
        "source",
        "staff_id",
    ),
    "reading": (
        "created_at",
        "order_id",
        "service_point_id",
        "installation_id",
        "register_id",
        "register_kind",
        "meter_serial",
        "value",
        "read_at",
        "quality",
        "reason",
        "source",
        "capture_uuid",
        "staff_id",
        "supersedes_id",
    ),
    "reading_check": ("reading_id", "rule", "severity", "code", "detail"),
    "consumption": (
        "created_at",
        "service_point_id",
        "account_id",
        "register_kind",
        "reading_id",
        "previous_reading_id",
        "from_at",
        "to_at",
        "quantity",
        "method",
    ),
    "skip": (
        "created_at",
        "order_id",
        "service_point_id",
        "skip_code",
        "skipped_at",
        "capture_uuid",
    ),
    "stop_visit": (
        "capture_uuid",
        "route_stop_id",
        "staff_id",
        "outcome",
        "reason",
        "started_at",
        "visited_at",
    ),
}


def upgrade() -> None:
    op.create_table(
        "accounting_period",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "closed_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.CheckConstraint(
            "(status = 'open' OR status = 'closed')", name=op.f("ck_accounting_period_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounting_period")),
        sa.UniqueConstraint("period", name=op.f("uq_accounting_period_period")),
    )
    op.create_table(
        "audit_event",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.String(length=12), nullable=False),
        sa.Column("actor_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("actor_name", sa.String(length=120), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("subject_type", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column(
            "before", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True
        ),
        sa.Column("after", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("request_id", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_event")),
    )
    with op.batch_alter_table("audit_event", schema=None) as batch_op:
        batch_op.create_index(
            "ix_audit_event_subject", ["subject_type", "subject_id"], unique=False
        )

    op.create_table(
        "balance_rule",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_class", sa.String(length=40), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("low_balance", sa.BigInteger(), nullable=True),
        sa.Column("cut", sa.String(length=10), nullable=False),
        sa.Column("cut_below", sa.BigInteger(), nullable=False),
        sa.Column("alarm_basis", sa.String(length=8), nullable=True),
        sa.Column(
            "alarm_steps", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.CheckConstraint(
            "(cut = 'none' OR cut = 'propose' OR cut = 'automatic')",
            name=op.f("ck_balance_rule_cut"),
        ),
        sa.CheckConstraint(
            "(mode = 'postpaid' OR mode = 'prepaid')", name=op.f("ck_balance_rule_mode")
        ),
        sa.CheckConstraint(
            "alarm_basis IS NULL OR (alarm_basis = 'share' OR alarm_basis = 'days')",
            name=op.f("ck_balance_rule_basis"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_balance_rule")),
    )
    with op.batch_alter_table("balance_rule", schema=None) as batch_op:
        batch_op.create_index("uq_balance_rule_class", ["account_class", "mode"], unique=True)

    op.create_table(
        "bank_file",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_file")),
        sa.UniqueConstraint("sha256", name=op.f("uq_bank_file_sha256")),
    )
    op.create_table(
        "bill_run",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("scope", sa.String(length=32), nullable=False),
        sa.Column("estimate", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column(
            "started_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status = 'running' OR status = 'done' OR status = 'stopped')",
            name=op.f("ck_bill_run_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bill_run")),
    )
    with op.batch_alter_table("bill_run", schema=None) as batch_op:
        batch_op.create_index(
            "uq_bill_run_running",
            ["period", "scope"],
            unique=True,
            sqlite_where=sa.text("status = 'running'"),
            postgresql_where=sa.text("status = 'running'"),
        )

    op.create_table(
        "blob",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("content_type", sa.String(length=80), nullable=False),
        sa.Column("quarantined", sa.Boolean(), nullable=False),
        sa.Column("thumbnail", sa.String(length=8), nullable=True),
        sa.CheckConstraint(
            "(thumbnail = 'wanted' OR thumbnail = 'made' OR thumbnail = 'failed')",
            name=op.f("ck_blob_thumbnail"),
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_blob")),
    )
    with op.batch_alter_table("blob", schema=None) as batch_op:
        batch_op.create_index(
            "ix_blob_thumbnail_wanted",
            ["created_at"],
            unique=False,
            sqlite_where=sa.text("thumbnail = 'wanted'"),
            postgresql_where=sa.text("thumbnail = 'wanted'"),
        )

    op.create_table(
        "budget_use",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("category", sa.String(length=30), nullable=False),
        sa.Column("period", sa.String(length=10), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_use")),
        sa.UniqueConstraint("category", "period", name=op.f("uq_budget_use_category_period")),
    )
    op.create_table(
        "customer",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "customer_no",
            sa.String(length=40).with_variant(sa.String(length=40, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "name",
            sa.String(length=120).with_variant(sa.String(length=120, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("customer_class", sa.String(length=40), nullable=False),
        sa.Column("credit_class", sa.String(length=40), nullable=True),
        sa.Column(
            "attributes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer")),
        sa.UniqueConstraint("customer_no", name=op.f("uq_customer_customer_no")),
    )
    with op.batch_alter_table("customer", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_customer_name"), ["name"], unique=False)

    op.create_table(
        "dues_rules",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "definition", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dues_rules")),
    )
    op.create_table(
        "dunning_run",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "through_account_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_dunning_run")),
    )
    op.create_table(
        "fan_out",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("event", sa.String(length=60), nullable=False),
        sa.Column("category", sa.String(length=30), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column(
            "texts", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("made", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cost", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("budget", sa.BigInteger(), nullable=True),
        sa.Column("through", sa.String(length=254), nullable=False),
        sa.Column("error", sa.String(length=60), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint(
            "(status = 'open' OR status = 'done' OR status = 'cancelled' OR status = 'stopped')",
            name=op.f("ck_fan_out_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fan_out")),
        sa.UniqueConstraint("key", name=op.f("uq_fan_out_key")),
    )
    with op.batch_alter_table("fan_out", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_fan_out_status"), ["status"], unique=False)

    op.create_table(
        "feed_entry",
        sa.Column("scope", sa.String(length=40), nullable=False),
        sa.Column("collection", sa.String(length=40), nullable=False),
        sa.Column("document_id", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "collection", "document_id", name=op.f("pk_feed_entry")),
    )
    with op.batch_alter_table("feed_entry", schema=None) as batch_op:
        batch_op.create_index("ix_feed_entry_scope_seq", ["scope", "seq"], unique=False)

    op.create_table(
        "feed_scope",
        sa.Column("scope", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_feed_scope")),
    )
    op.create_table(
        "gateway",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column(
            "config", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Integer(), server_default="100", nullable=False),
        sa.Column(
            "categories", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True
        ),
        sa.Column(
            "prefixes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True
        ),
        sa.Column("daily_budget", sa.BigInteger(), nullable=True),
        sa.Column("monthly_budget", sa.BigInteger(), nullable=True),
        sa.Column("over_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("patience_seconds", sa.Integer(), server_default="60", nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(kind = 'smpp' OR kind = 'modem' OR kind = 'http' OR kind = 'email' OR kind = 'log')",
            name=op.f("ck_gateway_kind"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway")),
        sa.UniqueConstraint("name", name=op.f("uq_gateway_name")),
    )
    op.create_table(
        "holiday",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holiday")),
        sa.UniqueConstraint("day", name=op.f("uq_holiday_day")),
    )
    op.create_table(
        "job_run",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("slot", sa.DateTime(timezone=True), nullable=False),
        sa.Column("worker", sa.String(length=80), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("error", sa.String(length=60), nullable=True),
        sa.Column("message", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("name", "slot", name=op.f("pk_job_run")),
    )
    with op.batch_alter_table("job_run", schema=None) as batch_op:
        batch_op.create_index("ix_job_run_started", ["started_at"], unique=False)

    op.create_table(
        "journal",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_key", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "reverses_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.ForeignKeyConstraint(
            ["reverses_id"], ["journal.id"], name=op.f("fk_journal_reverses_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
        sa.UniqueConstraint("reverses_id", name=op.f("uq_journal_reverses_id")),
        sa.UniqueConstraint("source_key", name=op.f("uq_journal_source_key")),
    )
    op.create_table(
        "meter",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "serial",
            sa.String(length=40).with_variant(sa.String(length=40, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("maker", sa.String(length=80), nullable=True),
        sa.Column("model", sa.String(length=80), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meter")),
        sa.UniqueConstraint("serial", name=op.f("uq_meter_serial")),
    )
    op.create_table(
        "network_node",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("parent_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint(
            "(kind = 'substation' OR kind = 'feeder' OR kind = 'switch' OR kind = 'transformer')",
            name=op.f("ck_network_node_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["network_node.id"], name=op.f("fk_network_node_parent_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_node")),
        sa.UniqueConstraint("code", name=op.f("uq_network_node_code")),
    )
    with op.batch_alter_table("network_node", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_network_node_parent_id"), ["parent_id"], unique=False)

    op.create_table(
        "notice_policy",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("category", sa.String(length=30), nullable=False),
        sa.Column("quiet_from", sa.Time(), nullable=True),
        sa.Column("quiet_to", sa.Time(), nullable=True),
        sa.Column("quiet_holidays", sa.Boolean(), nullable=False),
        sa.Column("spread_minutes", sa.Integer(), nullable=False),
        sa.Column("cap_count", sa.Integer(), nullable=True),
        sa.Column("cap_hours", sa.Integer(), nullable=False),
        sa.Column("budget_day", sa.BigInteger(), nullable=True),
        sa.Column("budget_month", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(category = 'safety' OR category = 'reply' OR category = 'outage' OR category = 'job' OR category = 'service' OR category = 'order' OR category = 'dues' OR category = 'bill' OR category = 'staff' OR category = 'promotion')",
            name=op.f("ck_notice_policy_category"),
        ),
        sa.CheckConstraint(
            "(quiet_from IS NULL) = (quiet_to IS NULL)", name=op.f("ck_notice_policy_quiet")
        ),
        sa.CheckConstraint("cap_count >= 0 AND cap_hours > 0", name=op.f("ck_notice_policy_cap")),
        sa.CheckConstraint("spread_minutes >= 0", name=op.f("ck_notice_policy_spread")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_policy")),
        sa.UniqueConstraint("category", name=op.f("uq_notice_policy_category")),
    )
    op.create_table(
        "notice_setup",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("token", sa.String(length=24), nullable=False),
        sa.Column(
            "forgotten_through",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default="0",
            nullable=False,
        ),
        sa.CheckConstraint("id = 1", name=op.f("ck_notice_setup_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_setup")),
    )
    op.create_table(
        "notice_template",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.String(length=60), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint(
            "(language = 'zh_Hans' OR language = 'en' OR language = 'zh_Hans@mail' OR language = 'en@mail')",
            name=op.f("ck_notice_template_language"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_template")),
        sa.UniqueConstraint(
            "event", "language", "version", name=op.f("uq_notice_template_event_language_version")
        ),
    )
    op.create_table(
        "operator",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("time_zone", sa.String(length=40), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("epoch", sa.String(length=24), nullable=False),
        sa.Column("is_demo", sa.Boolean(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_operator_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator")),
    )
    op.create_table(
        "org_unit",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("parent_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("time_zone", sa.String(length=40), nullable=True),
        sa.CheckConstraint(
            "(kind = 'office' OR kind = 'crew' OR kind = 'warehouse' OR kind = 'van' OR kind = 'shop')",
            name=op.f("ck_org_unit_kind"),
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["org_unit.id"], name=op.f("fk_org_unit_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_org_unit")),
        sa.UniqueConstraint("code", name=op.f("uq_org_unit_code")),
    )
    with op.batch_alter_table("org_unit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_org_unit_parent_id"), ["parent_id"], unique=False)

    op.create_table(
        "phone_refusal",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("phone", sa.String(length=254), nullable=False),
        sa.Column("category", sa.String(length=30), nullable=False),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("note", sa.String(length=160), nullable=True),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint(
            "(category = 'outage' OR category = 'job' OR category = 'bill' OR category = 'promotion')",
            name=op.f("ck_phone_refusal_category"),
        ),
        sa.CheckConstraint(
            "(source = 'text' OR source = 'console' OR source = 'api' OR source = 'import')",
            name=op.f("ck_phone_refusal_source"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_phone_refusal")),
        sa.UniqueConstraint("phone", "category", name=op.f("uq_phone_refusal_phone_category")),
    )
    op.create_table(
        "premise",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("premise_no", sa.String(length=40), nullable=False),
        sa.Column(
            "address",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("lat_e7", sa.Integer(), nullable=True),
        sa.Column("lon_e7", sa.Integer(), nullable=True),
        sa.Column("datum", sa.String(length=8), nullable=True),
        sa.Column("position_source", sa.String(length=24), nullable=True),
        sa.Column("position_confidence", sa.String(length=16), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_premise")),
        sa.UniqueConstraint("premise_no", name=op.f("uq_premise_premise_no")),
    )
    with op.batch_alter_table("premise", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_premise_address"), ["address"], unique=False)

    op.create_table(
        "quarantined_point",
        sa.Column(
            "rep_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("fix_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "device_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("recv_ms", sa.BigInteger(), nullable=False),
        sa.Column("lat_e7", sa.Integer(), nullable=False),
        sa.Column("lon_e7", sa.Integer(), nullable=False),
        sa.Column("acc_dm", sa.Integer(), nullable=True),
        sa.Column("speed_cms", sa.Integer(), nullable=True),
        sa.Column("course_ddeg", sa.Integer(), nullable=True),
        sa.Column("battery", sa.Integer(), nullable=True),
        sa.Column("flags", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("rep_id", "fix_ms", "device_id", name=op.f("pk_quarantined_point")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("quarantined_point", schema=None) as batch_op:
        batch_op.create_index("ix_quarantined_point_recv", ["recv_ms"], unique=False)

    op.create_table(
        "review_item",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.Column("subject_type", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column(
            "detail", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column(
            "org_unit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("route_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("lat_e7", sa.Integer(), nullable=True),
        sa.Column("lon_e7", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "closed_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("why", sa.String(length=255), nullable=True),
        sa.CheckConstraint(
            "(status = 'open' OR status = 'released' OR status = 'corrected' OR status = 'discarded' OR status = 'closed')",
            name=op.f("ck_review_item_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_item")),
        sa.UniqueConstraint("key", name=op.f("uq_review_item_key")),
    )
    with op.batch_alter_table("review_item", schema=None) as batch_op:
        batch_op.create_index(
            "ix_review_item_open",
            ["created_at"],
            unique=False,
            sqlite_where=sa.text("status = 'open'"),
            postgresql_where=sa.text("status = 'open'"),
        )
        batch_op.create_index(
            "ix_review_item_subject", ["subject_type", "subject_id"], unique=False
        )

    op.create_table(
        "role",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role")),
        sa.UniqueConstraint("name", name=op.f("uq_role_name")),
    )
    op.create_table(
        "tariff",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tariff")),
        sa.UniqueConstraint("code", name=op.f("uq_tariff_code")),
    )
    op.create_table(
        "track_point",
        sa.Column(
            "rep_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("fix_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "device_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("recv_ms", sa.BigInteger(), nullable=False),
        sa.Column("lat_e7", sa.Integer(), nullable=False),
        sa.Column("lon_e7", sa.Integer(), nullable=False),
        sa.Column("acc_dm", sa.Integer(), nullable=True),
        sa.Column("speed_cms", sa.Integer(), nullable=True),
        sa.Column("course_ddeg", sa.Integer(), nullable=True),
        sa.Column("battery", sa.Integer(), nullable=True),
        sa.Column("flags", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("rep_id", "fix_ms", "device_id", name=op.f("pk_track_point")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "worker_heartbeat",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_worker_heartbeat")),
    )
    with op.batch_alter_table("worker_heartbeat", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_worker_heartbeat_seen_at"), ["seen_at"], unique=False)

    op.create_table(
        "account",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "account_no",
            sa.String(length=40).with_variant(sa.String(length=40, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("account_class", sa.String(length=40), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("tariff_code", sa.String(length=40), nullable=False),
        sa.Column("alert_threshold", sa.BigInteger(), nullable=True),
        sa.Column("household", sa.Integer(), nullable=True),
        sa.Column("supplied_since", sa.Date(), nullable=True),
        sa.CheckConstraint("(mode = 'postpaid' OR mode = 'prepaid')", name=op.f("ck_account_mode")),
        sa.CheckConstraint(
            "(status = 'active' OR status = 'suspended' OR status = 'closed')",
            name=op.f("ck_account_status"),
        ),
        sa.CheckConstraint("household > 0", name=op.f("ck_account_household")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_account_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("account_no", name=op.f("uq_account_account_no")),
    )
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_account_customer_id"), ["customer_id"], unique=False)

    op.create_table(
        "bill_run_chunk",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column(
            "first_account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "last_account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("accounts", sa.Integer(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("bills", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("estimates", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["bill_run.id"], name=op.f("fk_bill_run_chunk_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bill_run_chunk")),
    )
    with op.batch_alter_table("bill_run_chunk", schema=None) as batch_op:
        batch_op.create_index(
            "ix_bill_run_chunk_open", ["run_id", "done_at", "number"], unique=False
        )
        batch_op.create_index("uq_bill_run_chunk_number", ["run_id", "number"], unique=True)

    op.create_table(
        "contact",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=True),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column(
            "consent", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_contact_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact")),
    )
    with op.batch_alter_table("contact", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_contact_phone"), ["phone"], unique=False)
        batch_op.create_index("uq_contact_customer_phone", ["customer_id", "phone"], unique=True)

    op.create_table(
        "fan_out_recipient",
        sa.Column(
            "fan_out_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("phone", sa.String(length=254), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=True),
        sa.Column(
            "contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.ForeignKeyConstraint(
            ["fan_out_id"], ["fan_out.id"], name=op.f("fk_fan_out_recipient_fan_out_id")
        ),
        sa.PrimaryKeyConstraint("fan_out_id", "phone", name=op.f("pk_fan_out_recipient")),
    )
    op.create_table(
        "gateway_lease",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "gateway_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("bind", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=80), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=20), server_default="stopped", nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "figures", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True
        ),
        sa.ForeignKeyConstraint(
            ["gateway_id"], ["gateway.id"], name=op.f("fk_gateway_lease_gateway_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_lease")),
        sa.UniqueConstraint("gateway_id", "bind", name=op.f("uq_gateway_lease_gateway_id_bind")),
    )
    op.create_table(
        "gateway_price",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "gateway_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("price >= 0", name=op.f("ck_gateway_price_price")),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to > valid_from", name=op.f("ck_gateway_price_validity")
        ),
        sa.ForeignKeyConstraint(
            ["gateway_id"], ["gateway.id"], name=op.f("fk_gateway_price_gateway_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_price")),
        sa.UniqueConstraint(
            "gateway_id",
            "prefix",
            "valid_from",
            name=op.f("uq_gateway_price_gateway_id_prefix_valid_from"),
        ),
    )
    op.create_table(
        "message_day",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column(
            "gateway_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("event", sa.String(length=60), nullable=False),
        sa.Column("category", sa.String(length=30), nullable=False),
        sa.Column("carrier", sa.String(length=60), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("delivered", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["gateway_id"], ["gateway.id"], name=op.f("fk_message_day_gateway_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_day")),
        sa.UniqueConstraint(
            "day",
            "gateway_id",
            "event",
            "category",
            "carrier",
            name=op.f("uq_message_day_day_gateway_id_event_category_carrier"),
        ),
    )
    op.create_table(
        "outbox_message",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "key",
            sa.String(length=200).with_variant(sa.String(length=200, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("event", sa.String(length=60), nullable=False),
        sa.Column("category", sa.String(length=30), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("delivery", sa.String(length=20), nullable=False),
        sa.Column("phone", sa.String(length=254), nullable=False),
        sa.Column(
            "contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column(
            "gateway_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("owner", sa.String(length=80), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("copies", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), server_default="0", nullable=False),
        sa.Column("possible_duplicate", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String(length=60), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(delivery = 'at_least_once' OR delivery = 'at_most_once')",
            name=op.f("ck_outbox_message_delivery"),
        ),
        sa.CheckConstraint(
            "(status = 'queued' OR status = 'held' OR status = 'claimed' OR status = 'submitted' OR status = 'accepted' OR status = 'delivered' OR status = 'failed' OR status = 'expired' OR status = 'unknown' OR status = 'suppressed' OR status = 'cancelled')",
            name=op.f("ck_outbox_message_status"),
        ),
        sa.ForeignKeyConstraint(
            ["gateway_id"], ["gateway.id"], name=op.f("fk_outbox_message_gateway_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_message")),
        sa.UniqueConstraint("key", name=op.f("uq_outbox_message_key")),
    )
    with op.batch_alter_table("outbox_message", schema=None) as batch_op:
        batch_op.create_index("ix_outbox_message_account", ["account_id", "id"], unique=False)
        batch_op.create_index(
            "ix_outbox_message_claimed",
            ["owner"],
            unique=False,
            sqlite_where=sa.text("status = 'claimed'"),
            postgresql_where=sa.text("status = 'claimed'"),
        )
        batch_op.create_index(
            "ix_outbox_message_ended",
            ["status", "id"],
            unique=False,
            sqlite_where=sa.text(
                "(status = 'failed' OR status = 'expired' OR status = 'suppressed' OR status = 'cancelled')"
            ),
            postgresql_where=sa.text(
                "(status = 'failed' OR status = 'expired' OR status = 'suppressed' OR status = 'cancelled')"
            ),
        )
        batch_op.create_index(
            "ix_outbox_message_held",
            ["not_before"],
            unique=False,
            sqlite_where=sa.text("status = 'held'"),
            postgresql_where=sa.text("status = 'held'"),
        )
        batch_op.create_index("ix_outbox_message_phone", ["phone", "id"], unique=False)
        batch_op.create_index(
            "ix_outbox_message_queue",
            ["gateway_id", "priority", "id"],
            unique=False,
            sqlite_where=sa.text("status = 'queued'"),
            postgresql_where=sa.text("status = 'queued'"),
        )
        batch_op.create_index(
            "ix_outbox_message_submitted",
            ["owner"],
            unique=False,
            sqlite_where=sa.text("status = 'submitted'"),
            postgresql_where=sa.text("status = 'submitted'"),
        )
        batch_op.create_index(
            "ix_outbox_message_unknown",
            ["status_at"],
            unique=False,
            sqlite_where=sa.text("status = 'unknown'"),
            postgresql_where=sa.text("status = 'unknown'"),
        )

    op.create_table(
        "register",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("meter_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("integer_digits", sa.Integer(), nullable=False),
        sa.Column("decimals", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(kind = 'total' OR kind = 'sharp' OR kind = 'peak' OR kind = 'flat' OR kind = 'valley' OR kind = 'reactive')",
            name=op.f("ck_register_kind"),
        ),
        sa.CheckConstraint("decimals BETWEEN 0 AND 6", name=op.f("ck_register_decimals")),
        sa.CheckConstraint(
            "integer_digits BETWEEN 1 AND 12", name=op.f("ck_register_integer_digits")
        ),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name=op.f("fk_register_meter_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_register")),
    )
    with op.batch_alter_table("register", schema=None) as batch_op:
        batch_op.create_index("uq_register_meter_kind", ["meter_id", "kind"], unique=True)

    op.create_table(
        "role_permission",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("role_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("resource", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("scope", sa.String(length=8), nullable=False),
        sa.CheckConstraint(
            "(scope = 'own' OR scope = 'route' OR scope = 'team' OR scope = 'all')",
            name=op.f("ck_role_permission_scope"),
        ),
        sa.ForeignKeyConstraint(
            ["role_id"], ["role.id"], name=op.f("fk_role_permission_role_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role_permission")),
    )
    with op.batch_alter_table("role_permission", schema=None) as batch_op:
        batch_op.create_index(
            "uq_role_permission_right", ["role_id", "resource", "action"], unique=True
        )

    op.create_table(
        "staff",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("username", sa.String(length=80), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=True),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column(
            "org_unit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("password", sa.String(length=255), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("fs_uniquifier", sa.String(length=64), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("current_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_login_ip", sa.String(length=64), nullable=True),
        sa.Column("current_login_ip", sa.String(length=64), nullable=True),
        sa.Column("login_count", sa.Integer(), nullable=True),
        sa.Column("tf_primary_method", sa.String(length=64), nullable=True),
        sa.Column("tf_totp_secret", sa.String(length=255), nullable=True),
        sa.Column("tf_phone_number", sa.String(length=128), nullable=True),
        sa.Column(
            "tf_last_counter", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "mf_recovery_codes",
            sa.JSON().with_variant(postgresql.JSONB(), "postgresql"),
            nullable=True,
        ),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_staff_org_unit_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("email", name=op.f("uq_staff_email")),
        sa.UniqueConstraint("fs_uniquifier", name=op.f("uq_staff_fs_uniquifier")),
        sa.UniqueConstraint("username", name=op.f("uq_staff_username")),
    )
    with op.batch_alter_table("staff", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_staff_org_unit_id"), ["org_unit_id"], unique=False)

    op.create_table(
        "tariff_version",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "tariff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column(
            "definition", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to >= valid_from", name=op.f("ck_tariff_version_period")
        ),
        sa.ForeignKeyConstraint(
            ["tariff_id"], ["tariff.id"], name=op.f("fk_tariff_version_tariff_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tariff_version")),
    )
    with op.batch_alter_table("tariff_version", schema=None) as batch_op:
        batch_op.create_index("uq_tariff_version_from", ["tariff_id", "valid_from"], unique=True)

    op.create_table(
        "till",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column(
            "org_unit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["org_unit_id"], ["org_unit.id"], name=op.f("fk_till_org_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_till")),
        sa.UniqueConstraint("code", name=op.f("uq_till_code")),
    )
    op.create_table(
        "account_balance",
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column(
            "last_line_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_account_balance_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", "unit", name=op.f("pk_account_balance")),
    )
    op.create_table(
        "api_token",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_api_token_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_token_token_hash")),
    )
    with op.batch_alter_table("api_token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_token_staff_id"), ["staff_id"], unique=False)

    op.create_table(
        "balance_alarm",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False),
        sa.Column("threshold", sa.BigInteger(), nullable=False),
        sa.Column("measure", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(kind = 'low' OR kind = 'share' OR kind = 'days')", name=op.f("ck_balance_alarm_kind")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_balance_alarm_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_balance_alarm")),
        sa.UniqueConstraint("key", name=op.f("uq_balance_alarm_key")),
    )
    with op.batch_alter_table("balance_alarm", schema=None) as batch_op:
        batch_op.create_index("ix_balance_alarm_account", ["account_id", "id"], unique=False)

    op.create_table(
        "balance_watch",
        sa.Column(
            "account_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("line_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("top_up", sa.BigInteger(), nullable=True),
        sa.Column(
            "top_up_line_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_balance_watch_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_balance_watch")),
    )
    op.create_table(
        "bill",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bill_no", sa.String(length=24), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("period_from", sa.Date(), nullable=False),
        sa.Column("period_to", sa.Date(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("balance_after", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.Date(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column(
            "cancels_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "credits_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "replaces_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("reason", sa.String(length=255), nullable=True),
        sa.Column(
            "issued_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "tariff_version_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(kind = 'bill' OR kind = 'cancellation' OR kind = 'credit_note')",
            name=op.f("ck_bill_kind"),
        ),
        sa.CheckConstraint(
            "(kind = 'cancellation') = (cancels_id IS NOT NULL)", name=op.f("ck_bill_cancels")
        ),
        sa.CheckConstraint(
            "(kind = 'credit_note') = (credits_id IS NOT NULL)", name=op.f("ck_bill_credits")
        ),
        sa.CheckConstraint(
            "(status = 'issued' OR status = 'cancelled')", name=op.f("ck_bill_status")
        ),
        sa.CheckConstraint("period_to >= period_from", name=op.f("ck_bill_period")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_bill_account_id")),
        sa.ForeignKeyConstraint(["cancels_id"], ["bill.id"], name=op.f("fk_bill_cancels_id")),
        sa.ForeignKeyConstraint(["credits_id"], ["bill.id"], name=op.f("fk_bill_credits_id")),
        sa.ForeignKeyConstraint(["replaces_id"], ["bill.id"], name=op.f("fk_bill_replaces_id")),
        sa.ForeignKeyConstraint(["run_id"], ["bill_run.id"], name=op.f("fk_bill_run_id")),
        sa.ForeignKeyConstraint(
            ["tariff_version_id"], ["tariff_version.id"], name=op.f("fk_bill_tariff_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bill")),
        sa.UniqueConstraint("bill_no", name=op.f("uq_bill_bill_no")),
        sa.UniqueConstraint("cancels_id", name=op.f("uq_bill_cancels_id")),
        sa.UniqueConstraint("replaces_id", name=op.f("uq_bill_replaces_id")),
    )
    with op.batch_alter_table("bill", schema=None) as batch_op:
        batch_op.create_index("ix_bill_account", ["account_id", "id"], unique=False)
        batch_op.create_index(
            "ix_bill_credits",
            ["credits_id"],
            unique=False,
            sqlite_where=sa.text("credits_id IS NOT NULL"),
            postgresql_where=sa.text("credits_id IS NOT NULL"),
        )
        batch_op.create_index(batch_op.f("ix_bill_status"), ["status"], unique=False)

    op.create_table(
        "charge_estimate",
        sa.Column(
            "account_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("daily", sa.BigInteger(), nullable=True),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.Column("problem", sa.String(length=60), nullable=True),
        sa.Column("estimated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_charge_estimate_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_charge_estimate")),
    )
    op.create_table(
        "device",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("install_id", sa.String(length=80), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("receipt_prefix", sa.String(length=8), nullable=False),
        sa.Column("model", sa.String(length=80), nullable=True),
        sa.Column("os", sa.String(length=80), nullable=True),
        sa.Column("app_version", sa.String(length=40), nullable=True),
        sa.Column("imei", sa.String(length=20), nullable=True),
        sa.Column("iccid", sa.String(length=24), nullable=True),
        sa.Column("esn", sa.String(length=20), nullable=True),
        sa.Column("last_contact_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "received_through", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("unsent", sa.Integer(), nullable=True),
        sa.Column("oldest_unsent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("battery", sa.Integer(), nullable=True),
        sa.Column("persisted", sa.Boolean(), nullable=True),
        sa.Column("free_mb", sa.Integer(), nullable=True),
        sa.Column(
            "clock_skew_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "revoked_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "replaced_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.CheckConstraint(
            "(status = 'active' OR status = 'revoked' OR status = 'replaced')",
            name=op.f("ck_device_status"),
        ),
        sa.ForeignKeyConstraint(
            ["replaced_by_id"], ["device.id"], name=op.f("fk_device_replaced_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["revoked_by_id"], ["staff.id"], name=op.f("fk_device_revoked_by_id")
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_device_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device")),
        sa.UniqueConstraint("receipt_prefix", name=op.f("uq_device_receipt_prefix")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_device_token_hash")),
    )
    with op.batch_alter_table("device", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_device_staff_id"), ["staff_id"], unique=False)

    op.create_table(
        "disconnect_proposal",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("reason", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column(
            "detail", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "closed_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("why", sa.String(length=255), nullable=True),
        sa.CheckConstraint(
            "(reason = 'dunning' OR reason = 'prepaid')", name=op.f("ck_disconnect_proposal_reason")
        ),
        sa.CheckConstraint(
            "(state = 'proposed' OR state = 'ordered' OR state = 'withdrawn' OR state = 'done')",
            name=op.f("ck_disconnect_proposal_state"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_disconnect_proposal_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disconnect_proposal")),
    )
    with op.batch_alter_table("disconnect_proposal", schema=None) as batch_op:
        batch_op.create_index("ix_disconnect_proposal_account", ["account_id", "id"], unique=False)
        batch_op.create_index(
            "uq_disconnect_proposal_open",
            ["account_id"],
            unique=True,
            sqlite_where=sa.text("state IN ('proposed', 'ordered')"),
            postgresql_where=sa.text("state IN ('proposed', 'ordered')"),
        )

    op.create_table(
        "field_note",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("capture_uuid", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("subject_type", sa.String(length=16), nullable=True),
        sa.Column(
            "subject_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("text", sa.String(length=1000), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_field_note_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_field_note")),
        sa.UniqueConstraint("capture_uuid", name=op.f("uq_field_note_capture_uuid")),
    )
    with op.batch_alter_table("field_note", schema=None) as batch_op:
        batch_op.create_index("ix_field_note_subject", ["subject_type", "subject_id"], unique=False)

    op.create_table(
        "inbound_message",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "gateway_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("destination", sa.String(length=20), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("damaged", sa.Boolean(), nullable=False),
        sa.Column("masked", sa.Boolean(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("arrived", sa.Integer(), nullable=False),
        sa.Column("open_key", sa.String(length=100), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=True),
        sa.Column("command", sa.String(length=40), nullable=True),
        sa.Column(
            "repeat_of_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("reply_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'partial' OR state = 'received' OR state = 'handled' OR state = 'refused' OR state = 'unmatched' OR state = 'repeat' OR state = 'incomplete' OR state = 'failed')",
            name=op.f("ck_inbound_message_state"),
        ),
        sa.ForeignKeyConstraint(
            ["gateway_id"], ["gateway.id"], name=op.f("fk_inbound_message_gateway_id")
        ),
        sa.ForeignKeyConstraint(
            ["repeat_of_id"], ["inbound_message.id"], name=op.f("fk_inbound_message_repeat_of_id")
        ),
        sa.ForeignKeyConstraint(
            ["reply_id"], ["outbox_message.id"], name=op.f("fk_inbound_message_reply_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_message")),
    )
    with op.batch_alter_table("inbound_message", schema=None) as batch_op:
        batch_op.create_index(
            "ix_inbound_message_open",
            ["id"],
            unique=False,
            sqlite_where=sa.text(
                "handled_at IS NULL AND state IN ('unmatched', 'incomplete', 'repeat', 'failed')"
            ),
            postgresql_where=sa.text(
                "handled_at IS NULL AND state IN ('unmatched', 'incomplete', 'repeat', 'failed')"
            ),
        )
        batch_op.create_index(
            "ix_inbound_message_partial",
            ["received_at"],
            unique=False,
            sqlite_where=sa.text("state = 'partial'"),
            postgresql_where=sa.text("state = 'partial'"),
        )
        batch_op.create_index("ix_inbound_message_phone", ["phone", "id"], unique=False)
        batch_op.create_index(
            "ix_inbound_message_received",
            ["id"],
            unique=False,
            sqlite_where=sa.text("state = 'received'"),
            postgresql_where=sa.text("state = 'received'"),
        )
        batch_op.create_index("ix_inbound_message_received_at", ["received_at"], unique=False)
        batch_op.create_index(
            "ix_inbound_message_received_phone",
            ["phone", "id"],
            unique=False,
            sqlite_where=sa.text("state = 'received'"),
            postgresql_where=sa.text("state = 'received'"),
        )
        batch_op.create_index("uq_inbound_message_open_key", ["open_key"], unique=True)

    op.create_table(
        "ledger_line",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "journal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("ledger", sa.String(length=40), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("debit", sa.BigInteger(), nullable=False),
        sa.Column("credit", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "debit >= 0 AND credit >= 0 AND (debit = 0 OR credit = 0)",
            name=op.f("ck_ledger_line_side"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_ledger_line_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["journal_id"], ["journal.id"], name=op.f("fk_ledger_line_journal_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_line")),
    )
    with op.batch_alter_table("ledger_line", schema=None) as batch_op:
        batch_op.create_index("ix_ledger_line_account", ["account_id", "unit", "id"], unique=False)
        batch_op.create_index("ix_ledger_line_journal", ["journal_id"], unique=False)

    op.create_table(
        "live_position",
        sa.Column(
            "rep_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("fix_ms", sa.BigInteger(), nullable=False),
        sa.Column("recv_ms", sa.BigInteger(), nullable=False),
        sa.Column("lat_e7", sa.Integer(), nullable=False),
        sa.Column("lon_e7", sa.Integer(), nullable=False),
        sa.Column("acc_dm", sa.Integer(), nullable=True),
        sa.Column("speed_cms", sa.Integer(), nullable=True),
        sa.Column("course_ddeg", sa.Integer(), nullable=True),
        sa.Column("battery", sa.Integer(), nullable=True),
        sa.Column(
            "device_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.ForeignKeyConstraint(["rep_id"], ["staff.id"], name=op.f("fk_live_position_rep_id")),
        sa.PrimaryKeyConstraint("rep_id", name=op.f("pk_live_position")),
    )
    with op.batch_alter_table("live_position", schema=None) as batch_op:
        batch_op.create_index("ix_live_position_rev", ["rev"], unique=False)

    op.create_table(
        "load_terminal",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("secret", sa.String(length=400), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_load_terminal_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_load_terminal")),
        sa.UniqueConstraint("account_id", name=op.f("uq_load_terminal_account_id")),
    )
    op.create_table(
        "outbox_segment",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("parts", sa.Integer(), server_default="1", nullable=False),
        sa.Column("copy", sa.Integer(), nullable=False),
        sa.Column(
            "gateway_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("carrier_id", sa.String(length=64), nullable=True),
        sa.Column("error", sa.String(length=60), nullable=True),
        sa.Column("units", sa.Integer(), server_default="1", nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=True),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status = 'submitted' OR status = 'returned' OR status = 'refused' OR status = 'unknown' OR status = 'accepted' OR status = 'delivered' OR status = 'failed' OR status = 'expired')",
            name=op.f("ck_outbox_segment_status"),
        ),
        sa.ForeignKeyConstraint(
            ["gateway_id"], ["gateway.id"], name=op.f("fk_outbox_segment_gateway_id")
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["outbox_message.id"], name=op.f("fk_outbox_segment_message_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_segment")),
        sa.UniqueConstraint(
            "message_id", "part", "copy", name=op.f("uq_outbox_segment_message_id_part_copy")
        ),
    )
    with op.batch_alter_table("outbox_segment", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outbox_segment_carrier_id",
            ["carrier_id", "gateway_id"],
            unique=False,
            sqlite_where=sa.text("carrier_id IS NOT NULL"),
            postgresql_where=sa.text("carrier_id IS NOT NULL"),
        )

    op.create_table(
        "outbox_transition",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("target", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.Column(
            "gateway_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "detail", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True
        ),
        sa.ForeignKeyConstraint(
            ["gateway_id"], ["gateway.id"], name=op.f("fk_outbox_transition_gateway_id")
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["outbox_message.id"], name=op.f("fk_outbox_transition_message_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_transition")),
    )
    with op.batch_alter_table("outbox_transition", schema=None) as batch_op:
        batch_op.create_index("ix_outbox_transition_message_id", ["message_id", "id"], unique=False)

    op.create_table(
        "route",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("book_no", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("read_cycle", sa.String(length=16), nullable=False),
        sa.Column("scheduled_day", sa.Integer(), nullable=True),
        sa.Column(
            "org_unit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("reader_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("read_and_bill", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "scheduled_day IS NULL OR scheduled_day BETWEEN 1 AND 31", name=op.f("ck_route_day")
        ),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_route_org_unit_id")
        ),
        sa.ForeignKeyConstraint(["reader_id"], ["staff.id"], name=op.f("fk_route_reader_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_route")),
        sa.UniqueConstraint("book_no", name=op.f("uq_route_book_no")),
    )
    with op.batch_alter_table("route", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_route_org_unit_id"), ["org_unit_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_route_reader_id"), ["reader_id"], unique=False)

    op.create_table(
        "service_point",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "point_no",
            sa.String(length=40).with_variant(sa.String(length=40, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "premise_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("location_hint", sa.String(length=120), nullable=True),
        sa.Column("hazards", sa.String(length=120), nullable=True),
        sa.Column("note", sa.String(length=255), nullable=True),
        sa.CheckConstraint(
            "(status = 'active' OR status = 'inactive')", name=op.f("ck_service_point_status")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_service_point_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["premise_id"], ["premise.id"], name=op.f("fk_service_point_premise_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_point")),
        sa.UniqueConstraint("point_no", name=op.f("uq_service_point_point_no")),
    )
    with op.batch_alter_table("service_point", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_service_point_account_id"), ["account_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_service_point_premise_id"), ["premise_id"], unique=False
        )

    op.create_table(
        "staff_role",
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("role_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["role_id"], ["role.id"], name=op.f("fk_staff_role_role_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_staff_role_staff_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("staff_id", "role_id", name=op.f("pk_staff_role")),
    )
    op.create_table(
        "till_session",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("till_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("floated", sa.BigInteger(), nullable=False),
        sa.Column("expected", sa.BigInteger(), nullable=True),
        sa.Column("counted", sa.BigInteger(), nullable=True),
        sa.Column("difference", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=255), nullable=True),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "approved_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "journal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.CheckConstraint(
            "(status = 'open' OR status = 'counted' OR status = 'closed')",
            name=op.f("ck_till_session_status"),
        ),
        sa.CheckConstraint(
            "(status = 'open') = (counted IS NULL)", name=op.f("ck_till_session_counted")
        ),
        sa.ForeignKeyConstraint(
            ["journal_id"], ["journal.id"], name=op.f("fk_till_session_journal_id")
        ),
        sa.ForeignKeyConstraint(["till_id"], ["till.id"], name=op.f("fk_till_session_till_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_till_session")),
    )
    with op.batch_alter_table("till_session", schema=None) as batch_op:
        batch_op.create_index(
            "uq_till_session_staff",
            ["staff_id"],
            unique=True,
            sqlite_where=sa.text("status = 'open'"),
            postgresql_where=sa.text("status = 'open'"),
        )
        batch_op.create_index(
            "uq_till_session_till",
            ["till_id"],
            unique=True,
            sqlite_where=sa.text("status <> 'closed'"),
            postgresql_where=sa.text("status <> 'closed'"),
        )

    op.create_table(
        "usage_year",
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("opening", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_usage_year_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", "year", name=op.f("pk_usage_year")),
    )
    op.create_table(
        "bill_line",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bill_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("component", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=True),
        sa.Column(
            "tariff_version_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("days", sa.Integer(), nullable=True),
        sa.Column("register_kind", sa.String(length=8), nullable=True),
        sa.Column("usage_year", sa.Integer(), nullable=True),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("cumulative_before", sa.BigInteger(), nullable=False),
        sa.Column("reading_from", sa.BigInteger(), nullable=True),
        sa.Column("reading_to", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["bill_id"], ["bill.id"], name=op.f("fk_bill_line_bill_id")),
        sa.ForeignKeyConstraint(
            ["tariff_version_id"],
            ["tariff_version.id"],
            name=op.f("fk_bill_line_tariff_version_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bill_line")),
    )
    with op.batch_alter_table("bill_line", schema=None) as batch_op:
        batch_op.create_index("uq_bill_line_position", ["bill_id", "position"], unique=True)

    op.create_table(
        "capture_event",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column(
            "device_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("captured_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("skew_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("lat_e7", sa.Integer(), nullable=True),
        sa.Column("lon_e7", sa.Integer(), nullable=True),
        sa.Column("accuracy_m", sa.Integer(), nullable=True),
        sa.Column(
            "payload", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("payload_hash", sa.String(length=64), nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=True),
        sa.Column("message", sa.String(length=255), nullable=True),
        sa.Column("field", sa.String(length=80), nullable=True),
        sa.Column("decision", sa.String(length=12), nullable=True),
        sa.CheckConstraint(
            "(verdict = 'applied' OR verdict = 'held' OR verdict = 'conflict' OR verdict = 'rejected')",
            name=op.f("ck_capture_event_verdict"),
        ),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name=op.f("fk_capture_event_device_id")
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_capture_event_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_capture_event")),
        sa.UniqueConstraint("uuid", name=op.f("uq_capture_event_uuid")),
    )
    with op.batch_alter_table("capture_event", schema=None) as batch_op:
        batch_op.create_index("ix_capture_event_device_seq", ["device_id", "seq"], unique=False)
        batch_op.create_index("ix_capture_event_received", ["received_at"], unique=False)

    op.create_table(
        "capture_reject",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "device_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("message", sa.String(length=255), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name=op.f("fk_capture_reject_device_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_capture_reject")),
    )
    with op.batch_alter_table("capture_reject", schema=None) as batch_op:
        batch_op.create_index("uq_capture_reject_body", ["device_id", "body_hash"], unique=True)

    op.create_table(
        "capture_variant",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column(
            "device_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "payload", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("payload_hash", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name=op.f("fk_capture_variant_device_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_capture_variant")),
    )
    with op.batch_alter_table("capture_variant", schema=None) as batch_op:
        batch_op.create_index("uq_capture_variant_content", ["uuid", "payload_hash"], unique=True)

    op.create_table(
        "cash_handover",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "till_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("expected", sa.BigInteger(), nullable=False),
        sa.Column("counted", sa.BigInteger(), nullable=False),
        sa.Column("difference", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=True),
        sa.Column(
            "journal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.CheckConstraint(
            "difference = counted - expected", name=op.f("ck_cash_handover_difference")
        ),
        sa.ForeignKeyConstraint(
            ["journal_id"], ["journal.id"], name=op.f("fk_cash_handover_journal_id")
        ),
        sa.ForeignKeyConstraint(
            ["till_session_id"], ["till_session.id"], name=op.f("fk_cash_handover_till_session_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cash_handover")),
    )
    with op.batch_alter_table("cash_handover", schema=None) as batch_op:
        batch_op.create_index("ix_cash_handover_staff", ["staff_id", "id"], unique=False)
        batch_op.create_index("ix_cash_handover_till", ["till_session_id"], unique=False)

    op.create_table(
        "command_run",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "inbound_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("command", sa.String(length=40), nullable=False),
        sa.Column(
            "contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "arguments", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_command_run_contact_id")
        ),
        sa.ForeignKeyConstraint(
            ["inbound_id"], ["inbound_message.id"], name=op.f("fk_command_run_inbound_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_command_run")),
        sa.UniqueConstraint("inbound_id", name=op.f("uq_command_run_inbound_id")),
    )
    op.create_table(
        "delivery_report",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "gateway_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("carrier_id", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("error", sa.String(length=20), nullable=False),
        sa.Column("stamp", sa.String(length=20), nullable=False),
        sa.Column(
            "segment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.ForeignKeyConstraint(
            ["gateway_id"], ["gateway.id"], name=op.f("fk_delivery_report_gateway_id")
        ),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["outbox_segment.id"], name=op.f("fk_delivery_report_segment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_report")),
        sa.UniqueConstraint(
            "gateway_id",
            "carrier_id",
            "state",
            "stamp",
            name=op.f("uq_delivery_report_gateway_id_carrier_id_state_stamp"),
        ),
    )
    with op.batch_alter_table("delivery_report", schema=None) as batch_op:
        batch_op.create_index(
            "ix_delivery_report_parked",
            ["carrier_id", "gateway_id"],
            unique=False,
            sqlite_where=sa.text("segment_id IS NULL"),
            postgresql_where=sa.text("segment_id IS NULL"),
        )
        batch_op.create_index("ix_delivery_report_segment", ["segment_id"], unique=False)

    op.create_table(
        "device_sequence",
        sa.Column(
            "device_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "first",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("last", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name=op.f("fk_device_sequence_device_id")
        ),
        sa.PrimaryKeyConstraint("device_id", "first", name=op.f("pk_device_sequence")),
    )
    op.create_table(
        "dispute",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("bill_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column(
            "opened_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "closed_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("outcome", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_dispute_account_id")),
        sa.ForeignKeyConstraint(["bill_id"], ["bill.id"], name=op.f("fk_dispute_bill_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute")),
    )
    with op.batch_alter_table("dispute", schema=None) as batch_op:
        batch_op.create_index(
            "ix_dispute_open",
            ["account_id"],
            unique=False,
            sqlite_where=sa.text("closed_at IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL"),
        )

    op.create_table(
        "dunning_step",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("bill_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("step", sa.String(length=24), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("overdue_days", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("cut_from", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_dunning_step_account_id")
        ),
        sa.ForeignKeyConstraint(["bill_id"], ["bill.id"], name=op.f("fk_dunning_step_bill_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dunning_step")),
    )
    with op.batch_alter_table("dunning_step", schema=None) as batch_op:
        batch_op.create_index("ix_dunning_step_account", ["account_id", "id"], unique=False)
        batch_op.create_index("uq_dunning_step_once", ["bill_id", "step"], unique=True)

    op.create_table(
        "enrolment",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "replaces_device_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
        ),
        sa.Column(
            "created_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("device_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["staff.id"], name=op.f("fk_enrolment_created_by_id")
        ),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_enrolment_device_id")),
        sa.ForeignKeyConstraint(
            ["replaces_device_id"], ["device.id"], name=op.f("fk_enrolment_replaces_device_id")
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_enrolment_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrolment")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_enrolment_code_hash")),
    )
    with op.batch_alter_table("enrolment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_enrolment_staff_id"), ["staff_id"], unique=False)

    op.create_table(
        "inbound_part",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("charset", sa.String(length=20), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column(
            "fingerprint", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("carrier_key", sa.String(length=120), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["inbound_message.id"], name=op.f("fk_inbound_part_message_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_part")),
        sa.UniqueConstraint("carrier_key", name=op.f("uq_inbound_part_carrier_key")),
    )
    with op.batch_alter_table("inbound_part", schema=None) as batch_op:
        batch_op.create_index(
            "ix_inbound_part_fingerprint", ["fingerprint", "received_at"], unique=False
        )
        batch_op.create_index("uq_inbound_part_message_part", ["message_id", "part"], unique=True)

    op.create_table(
        "installation",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("meter_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "service_point_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("multiplier", sa.BigInteger(), nullable=False),
        sa.Column("installed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("multiplier > 0", name=op.f("ck_installation_multiplier")),
        sa.CheckConstraint(
            "removed_at IS NULL OR removed_at >= installed_at", name=op.f("ck_installation_period")
        ),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name=op.f("fk_installation_meter_id")),
        sa.ForeignKeyConstraint(
            ["service_point_id"],
            ["service_point.id"],
            name=op.f("fk_installation_service_point_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    with op.batch_alter_table("installation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_installation_meter_id"), ["meter_id"], unique=False)
        batch_op.create_index(
            "ix_installation_point", ["service_point_id", "installed_at"], unique=False
        )
        batch_op.create_index(
            "uq_installation_meter_current",
            ["meter_id"],
            unique=True,
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )
        batch_op.create_index(
            "uq_installation_point_current",
            ["service_point_id"],
            unique=True,
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )

    op.create_table(
        "interval_source",
        sa.Column(
            "service_point_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["service_point_id"],
            ["service_point.id"],
            name=op.f("fk_interval_source_service_point_id"),
        ),
        sa.PrimaryKeyConstraint("service_point_id", name=op.f("pk_interval_source")),
    )
    op.create_table(
        "late_fee",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("bill_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("through", sa.Date(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column(
            "detail", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column(
            "journal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_late_fee_amount")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_late_fee_account_id")
        ),
        sa.ForeignKeyConstraint(["bill_id"], ["bill.id"], name=op.f("fk_late_fee_bill_id")),
        sa.ForeignKeyConstraint(
            ["journal_id"], ["journal.id"], name=op.f("fk_late_fee_journal_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_late_fee")),
    )
    with op.batch_alter_table("late_fee", schema=None) as batch_op:
        batch_op.create_index("ix_late_fee_account", ["account_id"], unique=False)
        batch_op.create_index("ix_late_fee_bill", ["bill_id"], unique=False)

    op.create_table(
        "read_order",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "service_point_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("route_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("reason", sa.String(length=2), nullable=False),
        sa.Column("due", sa.Date(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column(
            "expectations", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.CheckConstraint(
            "(status = 'open' OR status = 'held' OR status = 'done' OR status = 'skipped' OR status = 'cancelled')",
            name=op.f("ck_read_order_status"),
        ),
        sa.ForeignKeyConstraint(["route_id"], ["route.id"], name=op.f("fk_read_order_route_id")),
        sa.ForeignKeyConstraint(
            ["service_point_id"], ["service_point.id"], name=op.f("fk_read_order_service_point_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_read_order")),
    )
    with op.batch_alter_table("read_order", schema=None) as batch_op:
        batch_op.create_index("ix_read_order_point", ["service_point_id", "status"], unique=False)
        batch_op.create_index("ix_read_order_route", ["route_id", "period", "status"], unique=False)
        batch_op.create_index(
            "uq_read_order_periodic",
            ["service_point_id", "period"],
            unique=True,
            sqlite_where=sa.text("reason = '01' AND status <> 'cancelled'"),
            postgresql_where=sa.text("reason = '01' AND status <> 'cancelled'"),
        )

    op.create_table(
        "refund",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column(
            "asked_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "decided_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "till_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "journal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.CheckConstraint(
            "(method = 'cash' OR method = 'card' OR method = 'cheque' OR method = 'transfer' OR method = 'wallet')",
            name=op.f("ck_refund_method"),
        ),
        sa.CheckConstraint(
            "(status = 'asked' OR status = 'paid' OR status = 'refused')",
            name=op.f("ck_refund_status"),
        ),
        sa.CheckConstraint(
            "(status = 'paid') = (journal_id IS NOT NULL)", name=op.f("ck_refund_journal")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_refund_amount")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_refund_account_id")),
        sa.ForeignKeyConstraint(["journal_id"], ["journal.id"], name=op.f("fk_refund_journal_id")),
        sa.ForeignKeyConstraint(
            ["till_session_id"], ["till_session.id"], name=op.f("fk_refund_till_session_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
    )
    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.create_index("ix_refund_account", ["account_id"], unique=False)
        batch_op.create_index(
            "ix_refund_asked",
            ["id"],
            unique=False,
            sqlite_where=sa.text("status = 'asked'"),
            postgresql_where=sa.text("status = 'asked'"),
        )
        batch_op.create_index("ix_refund_till", ["till_session_id"], unique=False)

    op.create_table(
        "route_stop",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("route_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column(
            "subject_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.CheckConstraint(
            "(kind = 'service_point' OR kind = 'shop' OR kind = 'ticket' OR kind = 'visit')",
            name=op.f("ck_route_stop_kind"),
        ),
        sa.ForeignKeyConstraint(["route_id"], ["route.id"], name=op.f("fk_route_stop_route_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_route_stop")),
    )
    with op.batch_alter_table("route_stop", schema=None) as batch_op:
        batch_op.create_index("ix_route_stop_walk", ["route_id", "sequence"], unique=False)
        batch_op.create_index("uq_route_stop_subject", ["kind", "subject_id"], unique=True)

    op.create_table(
        "service_point_node",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "service_point_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("node_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["node_id"], ["network_node.id"], name=op.f("fk_service_point_node_node_id")
        ),
        sa.ForeignKeyConstraint(
            ["service_point_id"],
            ["service_point.id"],
            name=op.f("fk_service_point_node_service_point_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_point_node")),
    )
    with op.batch_alter_table("service_point_node", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_service_point_node_node_id"), ["node_id"], unique=False
        )
        batch_op.create_index(
            "ix_service_point_node_point", ["service_point_id", "valid_from"], unique=False
        )
        batch_op.create_index(
            "uq_service_point_node_current",
            ["service_point_id"],
            unique=True,
            sqlite_where=sa.text("valid_to IS NULL"),
            postgresql_where=sa.text("valid_to IS NULL"),
        )

    op.create_table(
        "shift",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "device_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_shift_device_id")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_shift_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shift")),
        sa.UniqueConstraint("uuid", name=op.f("uq_shift_uuid")),
    )
    with op.batch_alter_table("shift", schema=None) as batch_op:
        batch_op.create_index("ix_shift_staff_started", ["staff_id", "started_at"], unique=False)

    op.create_table(
        "terminal_call",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column(
            "load_terminal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("body", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=160), nullable=True),
        sa.CheckConstraint(
            "(state = 'waiting' OR state = 'answered' OR state = 'failed')",
            name=op.f("ck_terminal_call_state"),
        ),
        sa.ForeignKeyConstraint(
            ["load_terminal_id"],
            ["load_terminal.id"],
            name=op.f("fk_terminal_call_load_terminal_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_terminal_call")),
        sa.UniqueConstraint("key", name=op.f("uq_terminal_call_key")),
    )
    with op.batch_alter_table("terminal_call", schema=None) as batch_op:
        batch_op.create_index(
            "ix_terminal_call_due",
            ["not_before"],
            unique=False,
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )
        batch_op.create_index("ix_terminal_call_terminal", ["load_terminal_id", "id"], unique=False)

    op.create_table(
        "attachment",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("capture_uuid", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column(
            "device_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("type", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("overdue_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wait_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(status = 'expected' OR status = 'received' OR status = 'refused' OR status = 'waived')",
            name=op.f("ck_attachment_status"),
        ),
        sa.ForeignKeyConstraint(
            ["capture_uuid"], ["capture_event.uuid"], name=op.f("fk_attachment_capture_uuid")
        ),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_attachment_device_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachment")),
    )
    with op.batch_alter_table("attachment", schema=None) as batch_op:
        batch_op.create_index(
            "ix_attachment_expected",
            ["device_id", "id"],
            unique=False,
            sqlite_where=sa.text("status = 'expected'"),
            postgresql_where=sa.text("status = 'expected'"),
        )
        batch_op.create_index(
            "ix_attachment_overdue",
            ["created_at"],
            unique=False,
            sqlite_where=sa.text("status = 'expected' AND overdue_at IS NULL"),
            postgresql_where=sa.text("status = 'expected' AND overdue_at IS NULL"),
        )
        batch_op.create_index("ix_attachment_sha256", ["sha256"], unique=False)
        batch_op.create_index("uq_attachment_place", ["capture_uuid", "position"], unique=True)

    op.create_table(
        "interval_reading",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "service_point_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "installation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("register_kind", sa.String(length=8), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=4), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint(
            "(source = 'api' OR source = 'file')", name=op.f("ck_interval_reading_source")
        ),
        sa.CheckConstraint("value >= 0", name=op.f("ck_interval_reading_value")),
        sa.ForeignKeyConstraint(
            ["installation_id"],
            ["installation.id"],
            name=op.f("fk_interval_reading_installation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["service_point_id"],
            ["service_point.id"],
            name=op.f("fk_interval_reading_service_point_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interval_reading")),
    )
    with op.batch_alter_table("interval_reading", schema=None) as batch_op:
        batch_op.create_index(
            "uq_interval_reading_hour",
            ["service_point_id", "register_kind", "read_at"],
            unique=True,
        )

    op.create_table(
        "payment",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("receipt_no", sa.String(length=24), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("unit", sa.String(length=3), nullable=False),
        sa.Column("external_ref", sa.String(length=120), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bill_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("payer", sa.String(length=120), nullable=True),
        sa.Column("note", sa.String(length=255), nullable=True),
        sa.Column("given_account_no", sa.String(length=40), nullable=True),
        sa.Column("device_receipt", sa.String(length=24), nullable=True),
        sa.Column("capture_uuid", sa.Uuid(), nullable=True),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "till_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "handover_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "journal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.CheckConstraint(
            "(account_id IS NULL) <= (status <> 'received')", name=op.f("ck_payment_whose")
        ),
        sa.CheckConstraint(
            "(channel = 'counter' OR channel = 'field' OR channel = 'api' OR channel = 'bank')",
            name=op.f("ck_payment_channel"),
        ),
        sa.CheckConstraint(
            "(method = 'cash' OR method = 'card' OR method = 'cheque' OR method = 'transfer' OR method = 'wallet')",
            name=op.f("ck_payment_method"),
        ),
        sa.CheckConstraint(
            "(status = 'received' OR status = 'suspense' OR status = 'reversed')",
            name=op.f("ck_payment_status"),
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payment_amount")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_payment_account_id")),
        sa.ForeignKeyConstraint(["bill_id"], ["bill.id"], name=op.f("fk_payment_bill_id")),
        sa.ForeignKeyConstraint(
            ["handover_id"], ["cash_handover.id"], name=op.f("fk_payment_handover_id")
        ),
        sa.ForeignKeyConstraint(["journal_id"], ["journal.id"], name=op.f("fk_payment_journal_id")),
        sa.ForeignKeyConstraint(
            ["till_session_id"], ["till_session.id"], name=op.f("fk_payment_till_session_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment")),
        sa.UniqueConstraint("capture_uuid", name=op.f("uq_payment_capture_uuid")),
        sa.UniqueConstraint("device_receipt", name=op.f("uq_payment_device_receipt")),
        sa.UniqueConstraint("external_ref", name=op.f("uq_payment_external_ref")),
        sa.UniqueConstraint("receipt_no", name=op.f("uq_payment_receipt_no")),
    )
    with op.batch_alter_table("payment", schema=None) as batch_op:
        batch_op.create_index("ix_payment_account", ["account_id", "id"], unique=False)
        batch_op.create_index(
            "ix_payment_in_hand",
            ["staff_id"],
            unique=False,
            sqlite_where=sa.text("channel = 'field' AND method = 'cash' AND handover_id IS NULL"),
            postgresql_where=sa.text(
                "channel = 'field' AND method = 'cash' AND handover_id IS NULL"
            ),
        )
        batch_op.create_index(
            "ix_payment_suspense",
            ["id"],
            unique=False,
            sqlite_where=sa.text("status = 'suspense'"),
            postgresql_where=sa.text("status = 'suspense'"),
        )
        batch_op.create_index("ix_payment_till", ["till_session_id"], unique=False)

    op.create_table(
        "reading",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "service_point_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "installation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "register_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("register_kind", sa.String(length=16), nullable=False),
        sa.Column("meter_serial", sa.String(length=40), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("quality", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=2), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=True),
        sa.Column("capture_uuid", sa.Uuid(), nullable=True),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("trouble", sa.String(length=24), nullable=True),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.Column("lat_e7", sa.Integer(), nullable=True),
        sa.Column("lon_e7", sa.Integer(), nullable=True),
        sa.Column("accuracy_m", sa.Integer(), nullable=True),
        sa.Column(
            "supersedes_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "released_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("released_why", sa.String(length=255), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(quality = 'regular' OR quality = 'verified' OR quality = 'customer' OR quality = 'office_estimate' OR quality = 'system_estimate' OR quality = 'system_prorate')",
            name=op.f("ck_reading_quality"),
        ),
        sa.CheckConstraint(
            "(source = 'device' OR source = 'office' OR source = 'customer' OR source = 'import' OR source = 'system')",
            name=op.f("ck_reading_source"),
        ),
        sa.CheckConstraint(
            "(status = 'held' OR status = 'confirmed' OR status = 'superseded' OR status = 'discarded')",
            name=op.f("ck_reading_status"),
        ),
        sa.CheckConstraint(
            "status <> 'confirmed' OR (service_point_id IS NOT NULL AND installation_id IS NOT NULL AND register_id IS NOT NULL AND value IS NOT NULL AND confirmed_at IS NOT NULL)",
            name=op.f("ck_reading_confirmed_is_whole"),
        ),
        sa.CheckConstraint("status <> 'confirmed' OR value >= 0", name=op.f("ck_reading_value")),
        sa.ForeignKeyConstraint(
            ["installation_id"], ["installation.id"], name=op.f("fk_reading_installation_id")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["read_order.id"], name=op.f("fk_reading_order_id")),
        sa.ForeignKeyConstraint(
            ["register_id"], ["register.id"], name=op.f("fk_reading_register_id")
        ),
        sa.ForeignKeyConstraint(
            ["released_by_id"], ["staff.id"], name=op.f("fk_reading_released_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["service_point_id"], ["service_point.id"], name=op.f("fk_reading_service_point_id")
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_reading_staff_id")),
        sa.ForeignKeyConstraint(
            ["supersedes_id"], ["reading.id"], name=op.f("fk_reading_supersedes_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reading")),
    )
    with op.batch_alter_table("reading", schema=None) as batch_op:
        batch_op.create_index(
            "ix_reading_held",
            ["id"],
            unique=False,
            sqlite_where=sa.text("status = 'held'"),
            postgresql_where=sa.text("status = 'held'"),
        )
        batch_op.create_index(
            "ix_reading_point_time", ["service_point_id", "read_at"], unique=False
        )
        batch_op.create_index("ix_reading_register_time", ["register_id", "read_at"], unique=False)
        batch_op.create_index("ix_reading_staff_time", ["staff_id", "read_at"], unique=False)
        batch_op.create_index(
            "uq_reading_capture_register",
            ["capture_uuid", "register_kind", "reason"],
            unique=True,
            sqlite_where=sa.text("capture_uuid IS NOT NULL AND status <> 'superseded'"),
            postgresql_where=sa.text("capture_uuid IS NOT NULL AND status <> 'superseded'"),
        )
        batch_op.create_index(
            "uq_reading_order_register",
            ["order_id", "register_id"],
            unique=True,
            sqlite_where=sa.text("status = 'confirmed' AND order_id IS NOT NULL"),
            postgresql_where=sa.text("status = 'confirmed' AND order_id IS NOT NULL"),
        )

    op.create_table(
        "skip",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "service_point_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("skip_code", sa.String(length=16), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.Column("skipped_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("capture_uuid", sa.Uuid(), nullable=True),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("lat_e7", sa.Integer(), nullable=True),
        sa.Column("lon_e7", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "(skip_code = 'locked' OR skip_code = 'dog' OR skip_code = 'refused' OR skip_code = 'not_found' OR skip_code = 'flooded' OR skip_code = 'dangerous' OR skip_code = 'vacant' OR skip_code = 'unreadable')",
            name=op.f("ck_skip_skip_code"),
        ),
        sa.ForeignKeyConstraint(["order_id"], ["read_order.id"], name=op.f("fk_skip_order_id")),
        sa.ForeignKeyConstraint(
            ["service_point_id"], ["service_point.id"], name=op.f("fk_skip_service_point_id")
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_skip_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_skip")),
        sa.UniqueConstraint("capture_uuid", name=op.f("uq_skip_capture_uuid")),
    )
    with op.batch_alter_table("skip", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_skip_order_id"), ["order_id"], unique=False)
        batch_op.create_index("ix_skip_point", ["service_point_id", "skipped_at"], unique=False)

    op.create_table(
        "stop_visit",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("capture_uuid", sa.Uuid(), nullable=False),
        sa.Column(
            "route_stop_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("visited_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.String(length=255), nullable=True),
        sa.CheckConstraint(
            "(outcome = 'served' OR outcome = 'skipped' OR outcome = 'missed')",
            name=op.f("ck_stop_visit_outcome"),
        ),
        sa.CheckConstraint(
            "outcome = 'served' OR reason IS NOT NULL", name=op.f("ck_stop_visit_reason")
        ),
        sa.ForeignKeyConstraint(
            ["route_stop_id"], ["route_stop.id"], name=op.f("fk_stop_visit_route_stop_id")
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_stop_visit_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stop_visit")),
        sa.UniqueConstraint("capture_uuid", name=op.f("uq_stop_visit_capture_uuid")),
    )
    with op.batch_alter_table("stop_visit", schema=None) as batch_op:
        batch_op.create_index("ix_stop_visit_stop", ["route_stop_id", "visited_at"], unique=False)

    op.create_table(
        "allocation",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "payment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("bill_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("refund_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("part", sa.String(length=10), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column(
            "releases_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.CheckConstraint(
            "(part = 'principal' OR part = 'fee' OR part = 'refund')",
            name=op.f("ck_allocation_part"),
        ),
        sa.CheckConstraint(
            "(part = 'refund') = (bill_id IS NULL)", name=op.f("ck_allocation_subject")
        ),
        sa.CheckConstraint(
            "(amount < 0) <= (releases_id IS NOT NULL)", name=op.f("ck_allocation_release")
        ),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_allocation_amount")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_allocation_account_id")
        ),
        sa.ForeignKeyConstraint(["bill_id"], ["bill.id"], name=op.f("fk_allocation_bill_id")),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payment.id"], name=op.f("fk_allocation_payment_id")
        ),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.id"], name=op.f("fk_allocation_refund_id")),
        sa.ForeignKeyConstraint(
            ["releases_id"], ["allocation.id"], name=op.f("fk_allocation_releases_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allocation")),
        sa.UniqueConstraint("releases_id", name=op.f("uq_allocation_releases_id")),
    )
    with op.batch_alter_table("allocation", schema=None) as batch_op:
        batch_op.create_index("ix_allocation_account", ["account_id", "id"], unique=False)
        batch_op.create_index("ix_allocation_bill", ["bill_id"], unique=False)
        batch_op.create_index("ix_allocation_payment", ["payment_id"], unique=False)

    op.create_table(
        "bank_row",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "bank_file_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("reference", sa.String(length=100), nullable=True),
        sa.Column("account_no", sa.String(length=40), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column(
            "fields", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("problem", sa.String(length=160), nullable=True),
        sa.Column(
            "payment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.CheckConstraint(
            "outcome IS NULL OR (outcome = 'matched' OR outcome = 'wrong_amount' OR outcome = 'duplicate' OR outcome = 'conflict' OR outcome = 'unknown_account' OR outcome = 'invalid')",
            name=op.f("ck_bank_row_outcome"),
        ),
        sa.ForeignKeyConstraint(
            ["bank_file_id"], ["bank_file.id"], name=op.f("fk_bank_row_bank_file_id")
        ),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payment.id"], name=op.f("fk_bank_row_payment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_row")),
    )
    with op.batch_alter_table("bank_row", schema=None) as batch_op:
        batch_op.create_index(
            "ix_bank_row_waiting",
            ["bank_file_id"],
            unique=False,
            sqlite_where=sa.text("outcome IS NULL"),
            postgresql_where=sa.text("outcome IS NULL"),
        )
        batch_op.create_index("uq_bank_row_position", ["bank_file_id", "position"], unique=True)

    op.create_table(
        "consumption",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "service_point_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("register_kind", sa.String(length=8), nullable=False),
        sa.Column(
            "reading_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "previous_reading_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("to_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.String(length=10), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("bill_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint(
            "(method = 'difference' OR method = 'rollover' OR method = 'exchange')",
            name=op.f("ck_consumption_method"),
        ),
        sa.CheckConstraint(
            "(status = 'active' OR status = 'superseded' OR status = 'settled')",
            name=op.f("ck_consumption_status"),
        ),
        sa.CheckConstraint(
            "bill_id IS NULL OR status = 'active'", name=op.f("ck_consumption_billed_is_active")
        ),
        sa.CheckConstraint("to_at >= from_at", name=op.f("ck_consumption_period")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_consumption_account_id")
        ),
        sa.ForeignKeyConstraint(["bill_id"], ["bill.id"], name=op.f("fk_consumption_bill_id")),
        sa.ForeignKeyConstraint(
            ["previous_reading_id"], ["reading.id"], name=op.f("fk_consumption_previous_reading_id")
        ),
        sa.ForeignKeyConstraint(
            ["reading_id"], ["reading.id"], name=op.f("fk_consumption_reading_id")
        ),
        sa.ForeignKeyConstraint(
            ["service_point_id"], ["service_point.id"], name=op.f("fk_consumption_service_point_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consumption")),
    )
    with op.batch_alter_table("consumption", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_consumption_bill_id"), ["bill_id"], unique=False)
        batch_op.create_index(
            "ix_consumption_point_time", ["service_point_id", "to_at"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_consumption_previous_reading_id"), ["previous_reading_id"], unique=False
        )
        batch_op.create_index(
            "ix_consumption_unbilled",
            ["service_point_id", "account_id"],
            unique=False,
            sqlite_where=sa.text("bill_id IS NULL AND status = 'active'"),
            postgresql_where=sa.text("bill_id IS NULL AND status = 'active'"),
        )
        batch_op.create_index(
            "uq_consumption_reading",
            ["reading_id"],
            unique=True,
            sqlite_where=sa.text("status <> 'superseded'"),
            postgresql_where=sa.text("status <> 'superseded'"),
        )

    op.create_table(
        "interval_correction",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "interval_reading_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("value_before", sa.BigInteger(), nullable=False),
        sa.Column("value_after", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=4), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(
            ["interval_reading_id"],
            ["interval_reading.id"],
            name=op.f("fk_interval_correction_interval_reading_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interval_correction")),
    )
    with op.batch_alter_table("interval_correction", schema=None) as batch_op:
        batch_op.create_index(
            "ix_interval_correction_reading", ["interval_reading_id", "id"], unique=False
        )

    op.create_table(
        "reading_check",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "reading_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("rule", sa.String(length=4), nullable=False),
        sa.Column("severity", sa.String(length=4), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column(
            "detail", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.CheckConstraint(
            "(severity = 'info' OR severity = 'warn' OR severity = 'hold')",
            name=op.f("ck_reading_check_severity"),
        ),
        sa.ForeignKeyConstraint(
            ["reading_id"], ["reading.id"], name=op.f("fk_reading_check_reading_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reading_check")),
    )
    with op.batch_alter_table("reading_check", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_reading_check_reading_id"), ["reading_id"], unique=False
        )

    dialect = op.get_bind().dialect.name
    for table, content in APPEND_ONLY.items():
        for statement in append_only_statements(dialect, table, content):
            op.execute(statement)


def downgrade() -> None:
    with op.batch_alter_table("reading_check", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_reading_check_reading_id"))

    op.drop_table("reading_check")
    with op.batch_alter_table("interval_correction", schema=None) as batch_op:
        batch_op.drop_index("ix_interval_correction_reading")

    op.drop_table("interval_correction")
    with op.batch_alter_table("consumption", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_consumption_reading",
            sqlite_where=sa.text("status <> 'superseded'"),
            postgresql_where=sa.text("status <> 'superseded'"),
        )
        batch_op.drop_index(
            "ix_consumption_unbilled",
            sqlite_where=sa.text("bill_id IS NULL AND status = 'active'"),
            postgresql_where=sa.text("bill_id IS NULL AND status = 'active'"),
        )
        batch_op.drop_index(batch_op.f("ix_consumption_previous_reading_id"))
        batch_op.drop_index("ix_consumption_point_time")
        batch_op.drop_index(batch_op.f("ix_consumption_bill_id"))

    op.drop_table("consumption")
    with op.batch_alter_table("bank_row", schema=None) as batch_op:
        batch_op.drop_index("uq_bank_row_position")
        batch_op.drop_index(
            "ix_bank_row_waiting",
            sqlite_where=sa.text("outcome IS NULL"),
            postgresql_where=sa.text("outcome IS NULL"),
        )

    op.drop_table("bank_row")
    with op.batch_alter_table("allocation", schema=None) as batch_op:
        batch_op.drop_index("ix_allocation_payment")
        batch_op.drop_index("ix_allocation_bill")
        batch_op.drop_index("ix_allocation_account")

    op.drop_table("allocation")
    with op.batch_alter_table("stop_visit", schema=None) as batch_op:
        batch_op.drop_index("ix_stop_visit_stop")

    op.drop_table("stop_visit")
    with op.batch_alter_table("skip", schema=None) as batch_op:
        batch_op.drop_index("ix_skip_point")
        batch_op.drop_index(batch_op.f("ix_skip_order_id"))

    op.drop_table("skip")
    with op.batch_alter_table("reading", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_reading_order_register",
            sqlite_where=sa.text("status = 'confirmed' AND order_id IS NOT NULL"),
            postgresql_where=sa.text("status = 'confirmed' AND order_id IS NOT NULL"),
        )
        batch_op.drop_index(
            "uq_reading_capture_register",
            sqlite_where=sa.text("capture_uuid IS NOT NULL AND status <> 'superseded'"),
            postgresql_where=sa.text("capture_uuid IS NOT NULL AND status <> 'superseded'"),
        )
        batch_op.drop_index("ix_reading_staff_time")
        batch_op.drop_index("ix_reading_register_time")
        batch_op.drop_index("ix_reading_point_time")
        batch_op.drop_index(
            "ix_reading_held",
            sqlite_where=sa.text("status = 'held'"),
            postgresql_where=sa.text("status = 'held'"),
        )

    op.drop_table("reading")
    with op.batch_alter_table("payment", schema=None) as batch_op:
        batch_op.drop_index("ix_payment_till")
        batch_op.drop_index(
            "ix_payment_suspense",
            sqlite_where=sa.text("status = 'suspense'"),
            postgresql_where=sa.text("status = 'suspense'"),
        )
        batch_op.drop_index(
            "ix_payment_in_hand",
            sqlite_where=sa.text("channel = 'field' AND method = 'cash' AND handover_id IS NULL"),
            postgresql_where=sa.text(
                "channel = 'field' AND method = 'cash' AND handover_id IS NULL"
            ),
        )
        batch_op.drop_index("ix_payment_account")

    op.drop_table("payment")
    with op.batch_alter_table("interval_reading", schema=None) as batch_op:
        batch_op.drop_index("uq_interval_reading_hour")

    op.drop_table("interval_reading")
    with op.batch_alter_table("attachment", schema=None) as batch_op:
        batch_op.drop_index("uq_attachment_place")
        batch_op.drop_index("ix_attachment_sha256")
        batch_op.drop_index(
            "ix_attachment_overdue",
            sqlite_where=sa.text("status = 'expected' AND overdue_at IS NULL"),
            postgresql_where=sa.text("status = 'expected' AND overdue_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_attachment_expected",
            sqlite_where=sa.text("status = 'expected'"),
            postgresql_where=sa.text("status = 'expected'"),
        )

    op.drop_table("attachment")
    with op.batch_alter_table("terminal_call", schema=None) as batch_op:
        batch_op.drop_index("ix_terminal_call_terminal")
        batch_op.drop_index(
            "ix_terminal_call_due",
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )

    op.drop_table("terminal_call")
    with op.batch_alter_table("shift", schema=None) as batch_op:
        batch_op.drop_index("ix_shift_staff_started")

    op.drop_table("shift")
    with op.batch_alter_table("service_point_node", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_service_point_node_current",
            sqlite_where=sa.text("valid_to IS NULL"),
            postgresql_where=sa.text("valid_to IS NULL"),
        )
        batch_op.drop_index("ix_service_point_node_point")
        batch_op.drop_index(batch_op.f("ix_service_point_node_node_id"))

    op.drop_table("service_point_node")
    with op.batch_alter_table("route_stop", schema=None) as batch_op:
        batch_op.drop_index("uq_route_stop_subject")
        batch_op.drop_index("ix_route_stop_walk")

    op.drop_table("route_stop")
    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.drop_index("ix_refund_till")
        batch_op.drop_index(
            "ix_refund_asked",
            sqlite_where=sa.text("status = 'asked'"),
            postgresql_where=sa.text("status = 'asked'"),
        )
        batch_op.drop_index("ix_refund_account")

    op.drop_table("refund")
    with op.batch_alter_table("read_order", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_read_order_periodic",
            sqlite_where=sa.text("reason = '01' AND status <> 'cancelled'"),
            postgresql_where=sa.text("reason = '01' AND status <> 'cancelled'"),
        )
        batch_op.drop_index("ix_read_order_route")
        batch_op.drop_index("ix_read_order_point")

    op.drop_table("read_order")
    with op.batch_alter_table("late_fee", schema=None) as batch_op:
        batch_op.drop_index("ix_late_fee_bill")
        batch_op.drop_index("ix_late_fee_account")

    op.drop_table("late_fee")
    op.drop_table("interval_source")
    with op.batch_alter_table("installation", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_installation_point_current",
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )
        batch_op.drop_index(
            "uq_installation_meter_current",
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )
        batch_op.drop_index("ix_installation_point")
        batch_op.drop_index(batch_op.f("ix_installation_meter_id"))

    op.drop_table("installation")
    with op.batch_alter_table("inbound_part", schema=None) as batch_op:
        batch_op.drop_index("uq_inbound_part_message_part")
        batch_op.drop_index("ix_inbound_part_fingerprint")

    op.drop_table("inbound_part")
    with op.batch_alter_table("enrolment", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_enrolment_staff_id"))

    op.drop_table("enrolment")
    with op.batch_alter_table("dunning_step", schema=None) as batch_op:
        batch_op.drop_index("uq_dunning_step_once")
        batch_op.drop_index("ix_dunning_step_account")

    op.drop_table("dunning_step")
    with op.batch_alter_table("dispute", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_dispute_open",
            sqlite_where=sa.text("closed_at IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL"),
        )

    op.drop_table("dispute")
    op.drop_table("device_sequence")
    with op.batch_alter_table("delivery_report", schema=None) as batch_op:
        batch_op.drop_index("ix_delivery_report_segment")
        batch_op.drop_index(
            "ix_delivery_report_parked",
            sqlite_where=sa.text("segment_id IS NULL"),
            postgresql_where=sa.text("segment_id IS NULL"),
        )

    op.drop_table("delivery_report")
    op.drop_table("command_run")
    with op.batch_alter_table("cash_handover", schema=None) as batch_op:
        batch_op.drop_index("ix_cash_handover_till")
        batch_op.drop_index("ix_cash_handover_staff")

    op.drop_table("cash_handover")
    with op.batch_alter_table("capture_variant", schema=None) as batch_op:
        batch_op.drop_index("uq_capture_variant_content")

    op.drop_table("capture_variant")
    with op.batch_alter_table("capture_reject", schema=None) as batch_op:
        batch_op.drop_index("uq_capture_reject_body")

    op.drop_table("capture_reject")
    with op.batch_alter_table("capture_event", schema=None) as batch_op:
        batch_op.drop_index("ix_capture_event_received")
        batch_op.drop_index("ix_capture_event_device_seq")

    op.drop_table("capture_event")
    with op.batch_alter_table("bill_line", schema=None) as batch_op:
        batch_op.drop_index("uq_bill_line_position")

    op.drop_table("bill_line")
    op.drop_table("usage_year")
    with op.batch_alter_table("till_session", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_till_session_till",
            sqlite_where=sa.text("status <> 'closed'"),
            postgresql_where=sa.text("status <> 'closed'"),
        )
        batch_op.drop_index(
            "uq_till_session_staff",
            sqlite_where=sa.text("status = 'open'"),
            postgresql_where=sa.text("status = 'open'"),
        )

    op.drop_table("till_session")
    op.drop_table("staff_role")
    with op.batch_alter_table("service_point", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_service_point_premise_id"))
        batch_op.drop_index(batch_op.f("ix_service_point_account_id"))

    op.drop_table("service_point")
    with op.batch_alter_table("route", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_route_reader_id"))
        batch_op.drop_index(batch_op.f("ix_route_org_unit_id"))

    op.drop_table("route")
    with op.batch_alter_table("outbox_transition", schema=None) as batch_op:
        batch_op.drop_index("ix_outbox_transition_message_id")

    op.drop_table("outbox_transition")
    with op.batch_alter_table("outbox_segment", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_outbox_segment_carrier_id",
            sqlite_where=sa.text("carrier_id IS NOT NULL"),
            postgresql_where=sa.text("carrier_id IS NOT NULL"),
        )

    op.drop_table("outbox_segment")
    op.drop_table("load_terminal")
    with op.batch_alter_table("live_position", schema=None) as batch_op:
        batch_op.drop_index("ix_live_position_rev")

    op.drop_table("live_position")
    with op.batch_alter_table("ledger_line", schema=None) as batch_op:
        batch_op.drop_index("ix_ledger_line_journal")
        batch_op.drop_index("ix_ledger_line_account")

    op.drop_table("ledger_line")
    with op.batch_alter_table("inbound_message", schema=None) as batch_op:
        batch_op.drop_index("uq_inbound_message_open_key")
        batch_op.drop_index(
            "ix_inbound_message_received_phone",
            sqlite_where=sa.text("state = 'received'"),
            postgresql_where=sa.text("state = 'received'"),
        )
        batch_op.drop_index("ix_inbound_message_received_at")
        batch_op.drop_index(
            "ix_inbound_message_received",
            sqlite_where=sa.text("state = 'received'"),
            postgresql_where=sa.text("state = 'received'"),
        )
        batch_op.drop_index("ix_inbound_message_phone")
        batch_op.drop_index(
            "ix_inbound_message_partial",
            sqlite_where=sa.text("state = 'partial'"),
            postgresql_where=sa.text("state = 'partial'"),
        )
        batch_op.drop_index(
            "ix_inbound_message_open",
            sqlite_where=sa.text(
                "handled_at IS NULL AND state IN ('unmatched', 'incomplete', 'repeat', 'failed')"
            ),
            postgresql_where=sa.text(
                "handled_at IS NULL AND state IN ('unmatched', 'incomplete', 'repeat', 'failed')"
            ),
        )

    op.drop_table("inbound_message")
    with op.batch_alter_table("field_note", schema=None) as batch_op:
        batch_op.drop_index("ix_field_note_subject")

    op.drop_table("field_note")
    with op.batch_alter_table("disconnect_proposal", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_disconnect_proposal_open",
            sqlite_where=sa.text("state IN ('proposed', 'ordered')"),
            postgresql_where=sa.text("state IN ('proposed', 'ordered')"),
        )
        batch_op.drop_index("ix_disconnect_proposal_account")

    op.drop_table("disconnect_proposal")
    with op.batch_alter_table("device", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_device_staff_id"))

    op.drop_table("device")
    op.drop_table("charge_estimate")
    with op.batch_alter_table("bill", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bill_status"))
        batch_op.drop_index(
            "ix_bill_credits",
            sqlite_where=sa.text("credits_id IS NOT NULL"),
            postgresql_where=sa.text("credits_id IS NOT NULL"),
        )
        batch_op.drop_index("ix_bill_account")

    op.drop_table("bill")
    op.drop_table("balance_watch")
    with op.batch_alter_table("balance_alarm", schema=None) as batch_op:
        batch_op.drop_index("ix_balance_alarm_account")

    op.drop_table("balance_alarm")
    with op.batch_alter_table("api_token", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_token_staff_id"))

    op.drop_table("api_token")
    op.drop_table("account_balance")
    op.drop_table("till")
    with op.batch_alter_table("tariff_version", schema=None) as batch_op:
        batch_op.drop_index("uq_tariff_version_from")

    op.drop_table("tariff_version")
    with op.batch_alter_table("staff", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_staff_org_unit_id"))

    op.drop_table("staff")
    with op.batch_alter_table("role_permission", schema=None) as batch_op:
        batch_op.drop_index("uq_role_permission_right")

    op.drop_table("role_permission")
    with op.batch_alter_table("register", schema=None) as batch_op:
        batch_op.drop_index("uq_register_meter_kind")

    op.drop_table("register")
    with op.batch_alter_table("outbox_message", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_outbox_message_unknown",
            sqlite_where=sa.text("status = 'unknown'"),
            postgresql_where=sa.text("status = 'unknown'"),
        )
        batch_op.drop_index(
            "ix_outbox_message_submitted",
            sqlite_where=sa.text("status = 'submitted'"),
            postgresql_where=sa.text("status = 'submitted'"),
        )
        batch_op.drop_index(
            "ix_outbox_message_queue",
            sqlite_where=sa.text("status = 'queued'"),
            postgresql_where=sa.text("status = 'queued'"),
        )
        batch_op.drop_index("ix_outbox_message_phone")
        batch_op.drop_index(
            "ix_outbox_message_held",
            sqlite_where=sa.text("status = 'held'"),
            postgresql_where=sa.text("status = 'held'"),
        )
        batch_op.drop_index(
            "ix_outbox_message_ended",
            sqlite_where=sa.text(
                "(status = 'failed' OR status = 'expired' OR status = 'suppressed' OR status = 'cancelled')"
            ),
            postgresql_where=sa.text(
                "(status = 'failed' OR status = 'expired' OR status = 'suppressed' OR status = 'cancelled')"
            ),
        )
        batch_op.drop_index(
            "ix_outbox_message_claimed",
            sqlite_where=sa.text("status = 'claimed'"),
            postgresql_where=sa.text("status = 'claimed'"),
        )
        batch_op.drop_index("ix_outbox_message_account")

    op.drop_table("outbox_message")
    op.drop_table("message_day")
    op.drop_table("gateway_price")
    op.drop_table("gateway_lease")
    op.drop_table("fan_out_recipient")
    with op.batch_alter_table("contact", schema=None) as batch_op:
        batch_op.drop_index("uq_contact_customer_phone")
        batch_op.drop_index(batch_op.f("ix_contact_phone"))

    op.drop_table("contact")
    with op.batch_alter_table("bill_run_chunk", schema=None) as batch_op:
        batch_op.drop_index("uq_bill_run_chunk_number")
        batch_op.drop_index("ix_bill_run_chunk_open")

    op.drop_table("bill_run_chunk")
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_account_customer_id"))

    op.drop_table("account")
    with op.batch_alter_table("worker_heartbeat", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_worker_heartbeat_seen_at"))

    op.drop_table("worker_heartbeat")
    op.drop_table("track_point")
    op.drop_table("tariff")
    op.drop_table("role")
    with op.batch_alter_table("review_item", schema=None) as batch_op:
        batch_op.drop_index("ix_review_item_subject")
        batch_op.drop_index(
            "ix_review_item_open",
            sqlite_where=sa.text("status = 'open'"),
            postgresql_where=sa.text("status = 'open'"),
        )

    op.drop_table("review_item")
    with op.batch_alter_table("quarantined_point", schema=None) as batch_op:
        batch_op.drop_index("ix_quarantined_point_recv")

    op.drop_table("quarantined_point")
    with op.batch_alter_table("premise", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_premise_address"))

    op.drop_table("premise")
    op.drop_table("phone_refusal")
    with op.batch_alter_table("org_unit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_org_unit_parent_id"))

    op.drop_table("org_unit")
    op.drop_table("operator")
    op.drop_table("notice_template")
    op.drop_table("notice_setup")
    op.drop_table("notice_policy")
    with op.batch_alter_table("network_node", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_network_node_parent_id"))

    op.drop_table("network_node")
    op.drop_table("meter")
    op.drop_table("journal")
    with op.batch_alter_table("job_run", schema=None) as batch_op:
        batch_op.drop_index("ix_job_run_started")

    op.drop_table("job_run")
    op.drop_table("holiday")
    op.drop_table("gateway")
    op.drop_table("feed_scope")
    with op.batch_alter_table("feed_entry", schema=None) as batch_op:
        batch_op.drop_index("ix_feed_entry_scope_seq")

    op.drop_table("feed_entry")
    with op.batch_alter_table("fan_out", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_fan_out_status"))

    op.drop_table("fan_out")
    op.drop_table("dunning_run")
    op.drop_table("dues_rules")
    with op.batch_alter_table("customer", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_customer_name"))

    op.drop_table("customer")
    op.drop_table("budget_use")
    with op.batch_alter_table("blob", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_blob_thumbnail_wanted",
            sqlite_where=sa.text("thumbnail = 'wanted'"),
            postgresql_where=sa.text("thumbnail = 'wanted'"),
        )

    op.drop_table("blob")
    with op.batch_alter_table("bill_run", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_bill_run_running",
            sqlite_where=sa.text("status = 'running'"),
            postgresql_where=sa.text("status = 'running'"),
        )

    op.drop_table("bill_run")
    op.drop_table("bank_file")
    with op.batch_alter_table("balance_rule", schema=None) as batch_op:
        batch_op.drop_index("uq_balance_rule_class")

    op.drop_table("balance_rule")
    with op.batch_alter_table("audit_event", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_event_subject")

    op.drop_table("audit_event")
    op.drop_table("accounting_period")
