"""A stand-in for the server in tests of the devices: it speaks the wire shapes, and judges nothing.

It keeps every pushed item by id, answers replays as such, and can be told to answer with something
else once (``answer_next``). It is no model of the server's rules: tests of those use the server.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

CODE = "ABCD2345"
TOKEN = "a-long-random-token"


def point(number, apart=0.0004, **more):
    return {
        "collection": "service_point",
        "id": str(100 + number),
        "scope": "route:7",
        "version": number,
        "route_id": 7,
        "sequence": number,
        "point_no": f"P{number}",
        "position": {"lat": 31.2 + number * apart, "lon": 121.4, "crs": "wgs84"},
        "meter": {
            "serial": f"M{number}",
            "multiplier": "1",
            "registers": [{"kind": "total", "integer_digits": 5, "decimals": 0}],
        },
        **more,
    }


def order(number, **more):
    return {
        "collection": "read_order",
        "id": str(200 + number),
        "scope": "route:7",
        "version": 1,
        "route_id": 7,
        "service_point_id": 100 + number,
        "period": "2026-11",
        "reason": "01",
        "status": "open",
        "registers": {"total": {"previous": "1000", "expected": "200", "low": "50", "high": "400"}},
        **more,
    }


def round_of(stops, apart=0.0004):
    """The documents of one route; its stops are ``apart`` degrees from each other, 0.0004 is 44 m."""
    documents = [
        {
            "collection": "operator",
            "id": "operator",
            "version": 1,
            "time_zone": "Asia/Shanghai",
        },
        {"collection": "route", "id": "7", "version": 1, "book_no": "B7", "name": "Seven"},
    ]
    for number in range(1, stops + 1):
        documents += [point(number, apart), order(number)]
    return documents


class StubServer:
    """Context manager; ``url`` is where it listens. All state is public, for tests to look at."""

    def __init__(self, documents=(), page=500):
        self.documents = list(documents)
        self.page = page
        self.items = {}
        self.posted: Counter[str] = Counter()
        self.pushes = []
        self.points = set()
        self.codes = {CODE}
        self.epoch = "e1"
        self.answer_next = []
        self.poison: set[str] = set()
        self.failing = False
        self.faulty: set[str] = set()
        self.commands = []
        self.lock = threading.Lock()

    def __enter__(self):
        stub = self

        class Handler(_Handler):
            server_state = stub

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *rest):
        self.http.shutdown()
        self.http.server_close()

    @property
    def port(self):
        return self.http.server_address[1]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def enrol(self, body):
        code = body["code"].replace("-", "").upper()
        if code not in self.codes:
            return 409, {"code": "enrolment.used", "message": "used", "details": None}
        self.codes.remove(code)
        return 201, {
            "device_id": 1,
            "token": TOKEN,
            "receipt_prefix": "A",
            "server_time": "2026-11-21T01:00:00Z",
            "epoch": self.epoch,
            "settings": {"max_push_items": 5, "max_track_points": 100},
        }

    def push(self, body):
        self.pushes.append(body)
        if self.failing or any(item["id"] in self.poison for item in body["items"]):
            return 500, {"code": "server.fault", "message": "fault", "details": None}
        results = []
        faults = [item["id"] for item in body["items"] if item["id"] in self.faulty]
        for item in body["items"]:
            if item["id"] in faults:
                continue
            replayed = item["id"] in self.items
            self.posted[item["id"]] += 1
            self.items.setdefault(item["id"], item)
            results.append({"id": item["id"], "verdict": "applied", "replayed": replayed})
        self.points |= {tuple(p) for p in body["track"]["points"]}
        answer = {
            "server_time": "2026-11-21T01:00:00Z",
            "epoch": self.epoch,
            "received_through": len(self.items),
            "gaps": [],
            "results": results,
            "need": [],
            "track": {"accepted": len(body["track"]["points"])},
            "commands": self.commands,
            "faults": [{"id": item_id, "code": "server.fault"} for item_id in faults],
        }
        return 200, answer

    def pull(self, query):
        epoch, _, at = (query.get("checkpoint") or [f"{self.epoch}:0"])[0].partition(":")
        if epoch != self.epoch:
            return 412, {"code": "sync.resync_required", "message": "start over", "details": None}
        start = int(at)
        documents = self.documents[start : start + self.page]
        end = start + len(documents)
        return 200, {
            "documents": documents,
            "checkpoint": f"{self.epoch}:{end}",
            "more": end < len(self.documents),
            "count": {},
        }


class _Handler(BaseHTTPRequestHandler):
    server_state: StubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        parts = urlsplit(self.path)
        self._answer(lambda stub: stub.pull(parse_qs(parts.query)))

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            raw = gzip.decompress(raw)
        body = json.loads(raw)
        if self.path.endswith("/enrol"):
            self._answer(lambda stub: stub.enrol(body), free=True)
        else:
            self._answer(lambda stub: stub.push(body))

    def _answer(self, act, free=False):
        stub = self.server_state
        with stub.lock:
            if stub.answer_next:
                status, headers, content = stub.answer_next.pop(0)
            else:
                if not free and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    status, value = 401, {"code": "device.token_unknown", "message": "unknown"}
                else:
                    status, value = act(stub)
                headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
                content = gzip.compress(json.dumps(value).encode())
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
