"""The e-mail gateway against a small mail server on a real socket, with and without encryption."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server.errors import Invalid
from server.notify.gateways import options
from server.notify.gateways.courier import CourierGateway, Pauses
from server.notify.gateways.email.config import EmailConfig
from server.notify.gateways.email.mail import Mail
from server.notify.gateways.port import Submission
from server.notify.rules import answers
from tests.notify.mail_server import MailServer
from tests.notify.modem_bench import Notes
from tests.waiting import wait_until

pytestmark = pytest.mark.sockets
TO = "li@example.com"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the name localhost, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


@contextmanager
def running(
    certificate: Path | None = None, **more: Any
) -> Iterator[tuple[MailServer, CourierGateway, Notes]]:
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    server, notes = MailServer(tls), Notes()
    settings: dict[str, Any] = {
        "host": "localhost" if certificate else "127.0.0.1",
        "port": server.port,
        "sender": "notices@example.com",
        "sender_name": "东岭电力",
        "security": "starttls" if certificate else "none",
        "answer_seconds": 30.0,
        **more,
    }
    pauses = Pauses(first=0.05, most=0.1, refused=0.1, stop=5)
    gateway = CourierGateway("mail", Mail(EmailConfig(**settings)), pauses, notes)
    gateway.start()
    try:
        yield server, gateway, notes
    finally:
        gateway.stop()
        server.shutdown()
        server.server_close()


def mail(
    number: int, text: str = "电费账单\n\n您的电费账单已出。\n.\n请交费。", to: str = TO
) -> Submission:
    return Submission(number, 100 + number, to, text, "ucs2", text.encode())


def test_the_first_line_is_the_subject_and_the_rest_the_mail() -> None:
    with running() as (server, gateway, notes):
        gateway.submit([mail(1)])
        wait_until(lambda: 1 in notes.answers)
        assert notes.answers[1] == (0, "fieldbell-101-1")
        sender, to, read, _ = server.mails[0]
        assert ("notices@example.com" in sender, TO in to) == (True, True)
        assert (read["Subject"], read["To"]) == ("电费账单", TO)
        assert read["From"] == "东岭电力 <notices@example.com>"
        assert read["Message-ID"] == "<fieldbell-101-1@example.com>"
        assert read["Auto-Submitted"] == "auto-generated"
        assert read.get_content().replace("\r\n", "\n") == "您的电费账单已出。\n.\n请交费。\n"


def test_it_signs_in_only_behind_encryption_to_the_right_server(certificate: Path) -> None:
    account = {"username": "me", "password": "hush-hush"}
    with running(certificate, ca_file=str(certificate), **account) as (server, gateway, notes):
        gateway.submit([mail(1), mail(2)])
        wait_until(lambda: len(notes.answers) == 2)
        assert [encrypted for *_, encrypted in server.mails] == [True, True]
        assert set(server.signed_in) == {"\0me\0hush-hush"}
    with running(certificate, **account) as (server, gateway, notes):
        gateway.submit([mail(1)])
        wait_until(lambda: any(state == "refused" for state, _ in notes.states))
        assert (server.mails, server.signed_in, notes.returned_tokens) == ([], [], [1])
        assert not any("hush" in detail for _, detail in notes.states)


def test_a_server_without_encryption_gets_no_password() -> None:
    with running(security="starttls", host="127.0.0.1", username="me", password="hush-hush") as (
        server,
        gateway,
        notes,
    ):
        gateway.submit([mail(1)])
        wait_until(lambda: any(state == "refused" for state, _ in notes.states))
        assert (server.mails, server.signed_in) == ([], [])


@pytest.mark.parametrize(
    ("replies", "kind", "code"),
    [
        ({"RCPT": "550 5.1.1 nobody here"}, "permanent", "smtp.550"),
        ({"RCPT": "450 4.2.1 later"}, "transient", "smtp.450"),
        ({"DATA": "554 no"}, "permanent", "smtp.554"),
        ({"TEXT": "452 full"}, "transient", "smtp.452"),
        ({"MAIL": "421 too busy"}, "throttle", "smtp.421"),
    ],
)
def test_a_refusal_has_its_class(replies: dict[str, str], kind: str, code: str) -> None:
    with running() as (server, gateway, notes):
        server.replies = replies
        gateway.submit([mail(1)])
        wait_until(lambda: 1 in notes.answers)
        status = notes.answers[1][0]
        assert (answers.classify(status), answers.error_code(status)) == (kind, code)


def test_one_wrong_address_does_not_keep_the_other_mails_back() -> None:
    with running() as (server, gateway, notes):
        gateway.submit([mail(1), mail(2, to="李@example.com"), mail(3)])
        wait_until(lambda: len(notes.answers) == 3)
        assert [notes.answers[n][0] for n in (1, 3)] == [0, 0]
        assert answers.classify(notes.answers[2][0]) == "permanent"
        assert len(server.mails) == 2


def test_a_line_that_breaks_before_the_text_sends_it_back_and_after_it_leaves_it_unknown() -> None:
    with running() as (server, gateway, notes):
        server.replies = {"RCPT": "hang up"}
        gateway.submit([mail(1), mail(2)])
        wait_until(lambda: notes.returned_tokens == [1, 2])
        server.replies = {"TEXT": "hang up"}
        wait_until(lambda: gateway.room() == 20)
        gateway.submit([mail(3), mail(4)])
        wait_until(lambda: notes.lost_tokens == [3] and notes.returned_tokens == [1, 2, 4])
        assert len(server.mails) == 1


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"sender": "nobody"}, "sender must be an e-mail address"),
        ({"security": "none"}, "security none"),
        ({"username": "me"}, "go together"),
        ({"sender_name": "a\r\nBcc: x@example.com"}, "cannot be seen"),
    ],
)
def test_a_mail_server_that_cannot_be_right_is_refused(data: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        options.load(
            EmailConfig, "g", {"host": "mx.example.com", "sender": "a@example.com", **data}
        )
    assert problem in refused.value.message
