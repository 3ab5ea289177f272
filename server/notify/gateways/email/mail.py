"""Mails handed to a mail server one after the other, and what a failure at each moment means.

Until the text itself is sent nothing was taken; from then on only the server's answer tells.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import replace
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime, formataddr

from server import clock
from server.notify.gateways.courier import Errand
from server.notify.gateways.email.config import EmailConfig
from server.notify.gateways.port import Submission
from server.notify.rules import answers

_TOO_BUSY = 421
_UNWRITABLE = 553  # an address or a text that cannot be written in a mail


class Refused(Exception):
    """The server refuses us, not a mail: sign-in, certificate, or no encryption."""


class Mail:
    """Hands mails to one server (see `courier.Courier`)."""

    def __init__(self, config: EmailConfig) -> None:
        self.batch = config.batch
        self._config = config

    def greet(self) -> Errand:
        """Connect, sign in, and leave again."""
        server = self._reached()
        if isinstance(server, Errand):
            return server
        _leave(server)
        return Errand()

    def carry(self, batch: Sequence[Submission]) -> Errand:
        """Hand a batch over in one connection."""
        tokens = [one.token for one in batch]
        server = self._reached()
        if isinstance(server, Errand):
            return replace(server, returned=tokens)
        found = Errand()
        for at, submission in enumerate(batch):
            self._one(server, submission, found)
            if found.trouble or found.pause:
                found.returned += tokens[at + 1 :]
                break
        _leave(server)
        return found

    def rest(self) -> None:
        """No connection is kept."""

    def _one(self, server: smtplib.SMTP, submission: Submission, found: Errand) -> None:
        """One mail; its fate is noted in `found`."""
        token = submission.token
        try:
            octets = self._message(submission).as_bytes()
            refused = self._envelope(server, submission.phone)
        except ValueError:
            _answer(found, token, _UNWRITABLE)
            return
        except (OSError, smtplib.SMTPException) as problem:
            found.returned.append(token)
            found.trouble = f"the line broke: {_said(problem)}"
            return
        if refused:
            _answer(found, token, refused)
            return
        try:
            code, _ = server.data(octets)
        except smtplib.SMTPDataError as problem:
            _answer(found, token, problem.smtp_code)
        except (OSError, smtplib.SMTPException) as problem:
            found.lost.append(token)
            found.cut = not isinstance(problem, TimeoutError)
            found.trouble = f"the line broke: {_said(problem)}"
        else:
            if code == 250:
                found.answers.append((token, 0, submission_id(submission)))
            else:
                _answer(found, token, code)

    def _envelope(self, server: smtplib.SMTP, to: str) -> int:
        """Name sender and recipient; the code of a refusal, or 0."""
        for name, address in ((server.mail, self._config.sender), (server.rcpt, to)):
            code, _ = name(address)
            if code not in (250, 251):
                server.rset()
                return code
        return 0

    def _reached(self) -> smtplib.SMTP | Errand:
        """The server, or why there is none."""
        try:
            return self._connected()
        except Refused as problem:
            return Errand(refused=str(problem))
        except (OSError, smtplib.SMTPException) as problem:
            return Errand(trouble=f"no connection: {_said(problem)}")

    def _connected(self) -> smtplib.SMTP:
        """A server that we may give mails to. Raises Refused, or what the line does."""
        config = self._config
        trusted = ssl.create_default_context(cafile=config.ca_file or None)
        where = (config.host, config.port, config.sender.rpartition("@")[2])
        patience = config.connect_seconds
        try:
            server: smtplib.SMTP
            if config.security == "tls":
                server = smtplib.SMTP_SSL(*where, timeout=patience, context=trusted)
            else:
                server = smtplib.SMTP(*where, timeout=patience)
        except ssl.SSLCertVerificationError as problem:
            raise Refused(f"the server's certificate is not trusted: {_said(problem)}") from problem
        try:
            self._sign_in(server, trusted)
        except BaseException:
            server.close()
            raise
        if server.sock is not None:
            server.sock.settimeout(config.answer_seconds)
        return server

    def _sign_in(self, server: smtplib.SMTP, trusted: ssl.SSLContext) -> None:
        config = self._config
        try:
            if config.security == "starttls":
                server.starttls(context=trusted)
            server.ehlo_or_helo_if_needed()
            if config.username:
                server.login(config.username, config.password)
        except ssl.SSLCertVerificationError as problem:
            raise Refused(f"the server's certificate is not trusted: {_said(problem)}") from problem
        except smtplib.SMTPNotSupportedError as problem:
            raise Refused(_said(problem)) from problem
        except smtplib.SMTPAuthenticationError as problem:
            raise Refused(f"the server refuses the sign-in ({problem.smtp_code})") from problem

    def _message(self, submission: Submission) -> EmailMessage:
        config = self._config
        subject, body = parts_of(submission.text)
        made = EmailMessage(policy=WIRE)
        made["From"] = formataddr((config.sender_name, config.sender))
        made["To"] = submission.phone
        made["Subject"] = subject
        made["Date"] = format_datetime(clock.now())
        domain = config.sender.rpartition("@")[2]
        made["Message-ID"] = f"<{submission_id(submission)}@{domain}>"
        made["Auto-Submitted"] = "auto-generated"
        if config.reply_to:
            made["Reply-To"] = config.reply_to
        made.set_content(body, charset="utf-8", cte="base64" if not body.isascii() else None)
        return made


def submission_id(submission: Submission) -> str:
    """The name of a mail: the same at every try, so that mailboxes can tell a repeat."""
    return f"fieldbell-{submission.message_id}-{submission.part}"


def parts_of(text: str) -> tuple[str, str]:
    """Subject and body of a text: its first line, and what stands behind the empty line after it."""
    first, gap, rest = text.partition("\n\n")
    if not gap or "\n" in first:
        return "", text
    return " ".join(first.split()), rest


def _answer(found: Errand, token: int, code: int) -> None:
    """Note what the server said about one mail."""
    found.answers.append((token, answers.SMTP + code, ""))
    if code == _TOO_BUSY:
        found.pause = 60.0


def _leave(server: smtplib.SMTP) -> None:
    try:
        server.quit()
    except (OSError, smtplib.SMTPException):
        server.close()


def _said(problem: Exception) -> str:
    return str(problem)[:200] or type(problem).__name__
