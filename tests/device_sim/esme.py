"""A client of the SMS centre for tests. Its PDUs are written and read by smpplib, a second codec."""

from __future__ import annotations

import socket
import ssl
import struct
from typing import Any

from smpplib import smpp

from tests.waiting import PATIENCE

BIND = {"trx": "bind_transceiver", "tx": "bind_transmitter", "rx": "bind_receiver"}
ENDED = None


class Esme:
    """One connection, bound when it is made unless `kind` is empty."""

    sequence = 0

    def __init__(
        self, port: int, kind: str = "trx", tls: ssl.SSLContext | None = None, **words: str
    ) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="127.0.0.1")
        self._incoming = b""
        self.bound: Any = None
        if kind:
            self.bound = self.bind(kind, **words)

    def __enter__(self) -> Esme:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def next_sequence(self) -> int:
        """What smpplib asks its client for."""
        self.sequence += 1
        return self.sequence

    def send(self, command: str, **fields: Any) -> int:
        """Write one PDU; its sequence number."""
        pdu = smpp.make_pdu(command, client=self, **fields)
        self.socket.sendall(pdu.generate())
        return pdu.sequence

    def bind(self, kind: str = "trx", system_id: str = "peer", password: str = "peer") -> Any:
        """Bind and return the answer."""
        self.send(BIND[kind], system_id=system_id, password=password, interface_version=0x34)
        return self.read()

    def submit(self, text: str = "hi", to: str = "8612000000001", **fields: Any) -> int:
        """Submit a text; its sequence number."""
        return self.send(
            "submit_sm",
            **{
                "source_addr": "95598",
                "destination_addr": to,
                "registered_delivery": 1,
                "short_message": text.encode(),
                **fields,
            },
        )

    def read_octets(self) -> bytes | None:
        """One whole PDU, ENDED when the connection is over."""
        while len(self._incoming) < 16 or len(self._incoming) < self._length():
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                return ENDED
            if not data:
                return ENDED
            self._incoming += data
        size = self._length()
        octets, self._incoming = self._incoming[:size], self._incoming[size:]
        return octets

    def read(self) -> Any:
        """One PDU as smpplib reads it, ENDED when the connection is over."""
        octets = self.read_octets()
        if octets is ENDED:
            return ENDED
        return smpp.parse_pdu(octets, client=self, allow_unknown_opt_params=True)

    def left(self) -> bytes:
        """What came of a PDU that was never finished."""
        return self._incoming

    def hear(self, count: int) -> list[Any]:
        """So many deliveries, acknowledged; answers and enquiries between them are passed over."""
        heard = []
        while len(heard) < count:
            pdu = self.read()
            assert pdu is not ENDED, "the centre has hung up"
            if pdu.command in ("deliver_sm", "data_sm"):
                heard.append(pdu)
                self.acknowledge(pdu)
        return heard

    def acknowledge(self, pdu: Any, status: int = 0) -> None:
        """Answer a delivery."""
        code = 0x80000005 if pdu.command == "deliver_sm" else 0x80000103
        self.socket.sendall(struct.pack(">LLLLB", 17, code, status, pdu.sequence, 0))

    def silent(self, seconds: float = 0.15) -> bool:
        """Whether nothing comes for a time."""
        self.socket.settimeout(seconds)
        try:
            pdu = self.read()
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)
        assert pdu is ENDED or pdu.command, "something was read"
        return False

    def _length(self) -> int:
        return int(struct.unpack(">L", self._incoming[:4])[0])
