"""How a simulated modem behaves always, and what goes wrong with it next."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Manners:
    """How a modem behaves always.

    ``echo`` until it is told ATE0; ``pace_s`` before each answer; ``chatter`` are lines of its own that it
    puts into the middle of answers; ``report_s`` until a delivery report comes, None for never;
    ``stored_reports`` whether it can keep reports (else +CNMI with that is an error).
    """

    echo: bool = True
    pace_s: float = 0.0
    chatter: tuple[str, ...] = ()
    report_s: float | None = 0.02
    report_status: int = 0
    stored_reports: bool = False
    phase_2_plus: bool = True
    first_reference: int = 0


@dataclass
class Faults:
    """What goes wrong next; each is counted down to nought or used up.

    ``errors`` are CMS codes for the next sends after Ctrl-Z, ``early_errors`` in place of the prompt;
    ``no_prompt`` and ``silent_sends`` count sends without a prompt and without an answer. ``unplug`` at
    ``prompt``, ``unit`` (in the middle of it) or ``sent`` (taken, never answered) pulls the plug once.
    ``pin`` is what the SIM card asks for until it is told; ``no_sim``: there is no card.
    """

    errors: list[int] = field(default_factory=list)
    early_errors: list[int] = field(default_factory=list)
    no_prompt: int = 0
    silent_sends: int = 0
    dead: bool = False
    unplug: str = ""
    pin: str = ""
    no_sim: bool = False
