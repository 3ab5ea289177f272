"""``flask prepaid``: rules of low balances, thresholds of accounts, load terminals, a look at once."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import click

from server.accounts.models import ACCOUNT_MODES
from server.db import snapshot, transaction
from server.dues.rules.prepaid import BASES, CUTS, DEFAULT_RULES, Rule
from server.dues.service import prepaid_rules, rounds, terminals
from server.errors import Invalid
from server.identity.actor import SYSTEM
from server.terminal import command


def _amount(text: str | None) -> Decimal | None:
    if text is None or text == "none":
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise Invalid("balance_rule.invalid", f"{text!r} is no amount.") from None


@click.group("prepaid")
def prepaid_group() -> None:
    """Low balances: rules, thresholds, load terminals."""


@command("rules")
def rules_command() -> None:
    """List the rules of low balances."""
    with snapshot() as session:
        own = prepaid_rules.load(session).own
    defaults = {("(default)", mode): rule for mode, rule in DEFAULT_RULES.items()}
    for (account_class, mode), rule in sorted({**defaults, **own}.items()):
        steps = ", ".join(f"{step:f}" for step in rule.steps)
        alarm = f"alarm at {steps} ({rule.basis})" if rule.basis else "no alarm"
        low = "no notice" if rule.low_balance is None else f"notice below {rule.low_balance:.2f}"
        cut = "no cut" if rule.cut == "none" else f"cut below {rule.cut_below:.2f}: {rule.cut}"
        click.echo(f"{account_class:<16}{mode:<10}{low}; {cut}; {alarm}")


@command("rule")
@click.argument("account_class")
@click.option(
    "--mode",
    default="prepaid",
    show_default=True,
    type=click.Choice(ACCOUNT_MODES),
    help="Of which accounts of the class.",
)
@click.option("--low", metavar="AMOUNT", help="Tell the balance below this; none: never.")
@click.option(
    "--cut",
    default="propose",
    show_default=True,
    type=click.Choice(CUTS),
    help="What happens below --cut-below.",
)
@click.option(
    "--cut-below",
    default="0",
    show_default=True,
    metavar="AMOUNT",
    help="Where the supply is to be cut; below zero is owed.",
)
@click.option("--basis", type=click.Choice(BASES), help="What the alarm steps are.")
@click.option(
    "--step", "steps", multiple=True, metavar="NUMBER", help="0.3 of the last top-up, or 3 days."
)
def rule_command(
    account_class: str,
    mode: str,
    low: str | None,
    cut: str,
    cut_below: str,
    basis: str | None,
    steps: tuple[str, ...],
) -> None:
    """Rule what is done about low balances of a class of accounts."""
    numbers = sorted({_amount(step) or Decimal(0) for step in steps}, reverse=True)
    rule = Rule(_amount(low), cut, _amount(cut_below) or Decimal(0), basis, tuple(numbers))
    with transaction() as session:
        prepaid_rules.put(session, SYSTEM, account_class, mode, rule)
    click.echo(f"Ruled for {account_class}, {mode}.")


@command("threshold")
@click.argument("account_no")
@click.argument("amount")
def threshold_command(account_no: str, amount: str) -> None:
    """Give one account a threshold of its own; ``none`` gives it that of its class again."""
    with transaction() as session:
        prepaid_rules.put_threshold(session, SYSTEM, account_no, _amount(amount))
    click.echo(f"Threshold of account {account_no}: {amount}.")


@command("terminal")
@click.argument("account_no")
@click.option("--name", default="load terminal", show_default=True, help="What people call it.")
@click.option("--url", help="Where the terminal is told; https.")
@click.option("--secret", help="Signs what it is told; asked for when not given.")
@click.option("--off", is_flag=True, help="Tell it nothing more.")
def terminal_command(
    account_no: str, name: str, url: str | None, secret: str | None, *, off: bool
) -> None:
    """Set up the load terminal of an account; docs/load-terminals.md says what it is told."""
    if off:
        with transaction() as session:
            terminals.switch_off(session, SYSTEM, account_no)
        click.echo(f"The terminal of account {account_no} is told nothing more.")
        return
    secret = secret or click.prompt("Secret", hide_input=True, confirmation_prompt=True)
    with transaction() as session:
        terminals.put(session, SYSTEM, account_no, name, url or "", secret)
    click.echo(f"The terminal of account {account_no} is told at {url}.")


@command("look")
def look_command() -> None:
    """Estimate charges and look at balances now, as the worker does by itself."""
    click.echo(f"{rounds.estimate_charges()} estimates, {rounds.look_at_balances()} told.")


for _each in (rules_command, rule_command, threshold_command, terminal_command, look_command):
    prepaid_group.add_command(_each)
