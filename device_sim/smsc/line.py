"""One connection's octets: a non-blocking socket, plain or TLS, with what is still to be written."""

from __future__ import annotations

import contextlib
import socket
import ssl

_MOST = 256 * 1024
_FULL = 1024 * 1024


class Ended(Exception):
    """The connection is over."""


class Line:
    """Octets in and out. `outgoing` waits to be written; whoever adds to it flushes later."""

    def __init__(self, connection: socket.socket, tls: ssl.SSLContext | None) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.outgoing = bytearray()
        self.shaking = tls is not None
        self.socket: socket.socket = connection
        if tls is not None:
            self.socket = tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )

    @property
    def full(self) -> bool:
        """Whether so much waits to be written that nothing more should be read."""
        return len(self.outgoing) > _FULL

    def read(self) -> bytes:
        """What has come, nothing when nothing has. Raises Ended."""
        if self.shaking and not self._shake():
            return b""
        try:
            data = self.socket.recv(_MOST)
            while isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
                data += self.socket.recv(_MOST)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return b""
        except OSError as problem:
            raise Ended(str(problem)) from problem
        if not data:
            raise Ended("the client has closed the connection")
        return data

    def flush(self, most: int = 0) -> None:
        """Write what the socket takes, at most `most` octets when that is not 0. Raises Ended."""
        if not self.outgoing or (self.shaking and not self._shake()):
            return
        try:
            sent = self.socket.send(self.outgoing[:most] if most else self.outgoing)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as problem:
            raise Ended(str(problem)) from problem
        del self.outgoing[:sent]

    def close(self) -> None:
        """End at once; what waits is not written."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _shake(self) -> bool:
        """Go on with the TLS handshake; True when it is done. Raises Ended."""
        assert isinstance(self.socket, ssl.SSLSocket)
        try:
            self.socket.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError as problem:
            raise Ended(f"TLS: {problem}") from problem
        self.shaking = False
        return True
