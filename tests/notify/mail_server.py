"""A small mail server for tests: remembers mails, and says what it is told to say."""

from __future__ import annotations

import base64
import email
import email.policy
import socketserver
import ssl
import threading
from typing import Any

GREETING = ("250-here", "250-AUTH PLAIN", "250 STARTTLS")


class _Handler(socketserver.StreamRequestHandler):
    """One connection."""

    server: MailServer

    def handle(self) -> None:
        self._say("220 here")
        self._sender = self._to = ""
        while line := self.rfile.readline().decode().strip():
            word = line.split()[0].upper()
            told = self.server.replies.get(word)
            if told:
                self._say(told)
            elif word in ("STARTTLS", "DATA"):
                told = self._encrypt() if word == "STARTTLS" else self._take()
            else:
                self._note(word, line)
            if told == "hang up" or word == "QUIT":
                return

    def _say(self, *lines: str) -> None:
        if lines != ("hang up",):
            self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

    def _note(self, word: str, line: str) -> None:
        if word == "EHLO":
            self._say(*(GREETING if self.server.tls else ("250-here", "250 8BITMIME")))
            return
        if word == "AUTH":
            self.server.signed_in.append(base64.b64decode(line.split()[2]).decode())
        elif word == "MAIL":
            self._sender = line
        elif word == "RCPT":
            self._to = line
        self._say({"AUTH": "235 welcome", "QUIT": "221 bye"}.get(word, "250 ok"))

    def _encrypt(self) -> str:
        if self.server.tls is None:
            self._say("502 no")
            return ""
        self._say("220 go")
        try:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        except OSError:
            return "hang up"
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)
        return ""

    def _take(self) -> str:
        self._say("354 go on")
        octets = b""
        while (line := self.rfile.readline()) != b".\r\n":
            octets += line.removeprefix(b".") if line.startswith(b"..") else line
        read = email.message_from_bytes(octets, policy=email.policy.default)
        encrypted = isinstance(self.request, ssl.SSLSocket)
        self.server.mails.append((self._sender, self._to, read, encrypted))
        told = self.server.replies.get("TEXT", "250 taken")
        self._say(told)
        return told


class MailServer(socketserver.ThreadingTCPServer):
    """`replies` are what it says to a command instead of the usual: a line, or `hang up`.

    `TEXT` is its answer behind the text of a mail.
    """

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tls = tls
        self.mails: list[tuple[str, str, Any, bool]] = []
        self.replies: dict[str, str] = {}
        self.signed_in: list[str] = []
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
