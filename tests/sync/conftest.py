"""A founded system and a handheld that pushes and pulls through the real request path."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests import world as worlds


class Handheld:
    """The test's device: speaks HTTP to the app without a socket."""

    def __init__(self, app: Flask, token: str) -> None:
        self.client = app.test_client()
        self.headers = {"Authorization": f"Bearer {token}"}

    def push(self, *items: Any, **more: Any) -> dict[str, Any]:
        """Push items and return the answer's body; anything but 200 fails the test."""
        response = self.send(worlds.push_body(items, **more))
        assert response.status_code == 200, response.get_data(as_text=True)
        body: dict[str, Any] = response.get_json()
        return body

    def send(self, document: Any) -> TestResponse:
        """Push any JSON document, gzipped as devices do."""
        return self.send_bytes(gzip.compress(json.dumps(document).encode()), gzipped=True)

    def send_bytes(self, body: bytes, *, gzipped: bool = False) -> TestResponse:
        """Push raw bytes."""
        headers = dict(self.headers)
        if gzipped:
            headers["Content-Encoding"] = "gzip"
        return self.client.post(
            "/device/v1/push", data=body, headers=headers, content_type="application/json"
        )

    def pull(self, checkpoint: str | None = None, **query: Any) -> dict[str, Any]:
        """Pull one page."""
        response = self.ask_pull(checkpoint, **query)
        assert response.status_code == 200, response.get_data(as_text=True)
        body: dict[str, Any] = response.get_json()
        return body

    def ask_pull(self, checkpoint: str | None = None, **query: Any) -> TestResponse:
        """Pull one page, whatever the status."""
        if checkpoint:
            query["checkpoint"] = checkpoint
        return self.client.get("/device/v1/pull", query_string=query, headers=self.headers)

    def pull_all(self, limit: int = 500) -> tuple[list[dict[str, Any]], str]:
        """Pull until nothing more waits."""
        documents: list[dict[str, Any]] = []
        checkpoint: str | None = None
        while True:
            page = self.pull(checkpoint, limit=limit)
            documents += page["documents"]
            checkpoint = str(page["checkpoint"])
            if not page["more"]:
                return documents, checkpoint


def verdicts(answer: dict[str, Any]) -> Sequence[str]:
    """The verdicts of an answer in order."""
    return [result["verdict"] for result in answer["results"]]


@pytest.fixture
def world(app: Flask) -> worlds.World:
    """Three points, one reader, one enrolled handheld; the clock stands still."""
    return worlds.build(app)


@pytest.fixture
def handheld(app: Flask, world: worlds.World) -> Handheld:
    """The reader's handheld."""
    return Handheld(app, world.token)
