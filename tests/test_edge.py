"""What is refused before any view sees it."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "path",
    [
        "/search?q=%00",
        "/review?reason=a%00",
        "/accounts?after=%00",
        "/readings?status=%00",
        "/sign-in?next=%00",
        "/api/v1/captures/export?type=%00",
        "/device/v1/pull?checkpoint=%00",
    ],
)
def test_a_nul_in_an_address_is_told_so(app, path):
    answer = app.test_client().get(path)
    assert answer.status_code == 400
    assert "request.nul" in answer.text


def test_a_nul_in_a_form_is_told_so(app):
    answer = app.test_client().post("/sign-in", data={"identity": "a\x00b", "password": "x"})
    assert answer.status_code == 400


def test_a_body_that_is_no_form_is_left_to_its_own_face(app):
    answer = app.test_client().post(
        "/device/v1/push", data=b"\x00", content_type="application/json"
    )
    assert answer.get_json()["code"] == "auth.token_missing"
