"""The JSON door and the web page, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from device_sim.smsc import behaviour
from device_sim.smsc.desk import Desk, Refused
from device_sim.smsc.tally import Tally
from device_sim.smsc.writing import read_draft

_WEB = Path(__file__).parent / "web"
_FILES = {
    "/": ("index.html", "text/html"),
    "/style.css": ("style.css", "text/css"),
    "/app.js": ("app.js", "text/javascript"),
}
_LARGEST = 256 * 1024
_MOST_PHONES = 60


class Door(ThreadingHTTPServer):
    """Serves the page and the documents of one centre."""

    daemon_threads = True

    def __init__(self, desk: Desk, host: str, port: int) -> None:
        super().__init__((host, port), _Handler)
        self.desk = desk

    def document(self, path: str, asked: dict[str, list[str]]) -> Any:
        """What a GET returns; None where there is nothing."""
        phones, centre = self.desk.phones, self.desk.centre
        documents: dict[str, Callable[[], Any]] = {
            "/phones.json": phones.document,
            "/counts.json": phones.counts,
            "/tally.json": phones.tally,
            "/ids.json": lambda: phones.ids() if isinstance(phones, Tally) else None,
            "/binds.json": lambda: [client.document() for client in centre.clients()],
            "/behaviour.json": lambda: behaviour.document(centre.behaviour),
            "/live.json": lambda: self.desk.live(
                int(asked.get("since", ["0"])[0]), asked.get("find", [""])[0], _MOST_PHONES
            ),
        }
        found = documents.get(path)
        return None if found is None else found()

    def deed(self, path: str, given: dict[str, Any]) -> Any:
        """What a POST does and returns; None where there is nothing. Raises ValueError."""
        match path.strip("/").split("/"):
            case ["phones", number, "send"]:
                return self.desk.send(number, read_draft(given))
            case ["behaviour.json"]:
                return self.desk.set(given)
            case ["behaviour", "reset"]:
                return self.desk.reset()
            case ["binds", number, deed] if number.isdecimal():
                return {"binds": self.desk.do(deed, int(number), str(given.get("phone", "")))}
            case ["binds", deed]:
                return {"binds": self.desk.do(deed, 0, str(given.get("phone", "")))}
            case ["forget"]:
                self.desk.phones.forget()
                return self.desk.phones.counts()
        return None


class _Handler(BaseHTTPRequestHandler):
    server: Door
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # the name http.server calls
        """Answer one request."""
        url = urlsplit(self.path)
        if url.path in _FILES:
            name, kind = _FILES[url.path]
            self._send(200, (_WEB / name).read_bytes(), kind)
            return
        try:
            found = self.server.document(url.path, parse_qs(url.query))
        except ValueError as problem:
            self._refuse(422, str(problem))
            return
        if found is None:
            self._refuse(404, "there is nothing here")
        else:
            self._send_json(200, found)

    def do_POST(self) -> None:  # the name http.server calls
        """Do what is asked."""
        try:
            given = self._read()
            done = self.server.deed(urlsplit(self.path).path, given)
        except ValueError as problem:
            self._refuse(422, str(problem))
            return
        if done is None:
            self._refuse(404, "there is nothing here")
        else:
            self._send_json(200, done)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name http.server uses
        """Say nothing: the page asks every second."""

    def _read(self) -> dict[str, Any]:
        """The JSON object that was sent. Raises Refused."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > _LARGEST:
            self.close_connection = True
            raise Refused("that is too much")
        body = self.rfile.read(length)
        # A page of somebody else's cannot send this type without asking, so it cannot reach in.
        if self.headers.get_content_type() != "application/json":
            raise Refused("send Content-Type: application/json")
        given = json.loads(body or b"{}")
        if not isinstance(given, dict):
            raise Refused("send a JSON object")
        return given

    def _refuse(self, status: int, message: str) -> None:
        self._send_json(status, {"message": message})

    def _send_json(self, status: int, document: Any) -> None:
        self._send(status, json.dumps(document, ensure_ascii=False).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)
