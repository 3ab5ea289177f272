"""The JSON API's errors, its description and its door."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Blueprint as PlainBlueprint
from flask_smorest import Blueprint
from marshmallow import EXCLUDE, Schema, fields, validate
from sqlalchemy import select

from config.settings import Settings
from server import clock, openapi, throttle
from server.app import create_app
from server.db import snapshot, transaction
from server.errors import Conflict
from server.identity import service as identity
from server.identity.actor import SYSTEM
from server.identity.bearer import bearer_required, current_actor
from server.identity.models import ApiToken, Staff
from tests import conftest


class Line(Schema):
    value = fields.Decimal(required=True, as_string=True)


class Order(Schema):
    name = fields.String(required=True, validate=validate.Length(max=5))
    lines = fields.List(fields.Nested(Line))


class Tolerant(Schema):
    class Meta:
        unknown = EXCLUDE

    name = fields.String()


class Page(Schema):
    limit = fields.Integer(load_default=10)


def add_views(app):
    """Views as the domain packages write them, and a page of the console."""
    blp = Blueprint("things", __name__, url_prefix="/api/v1/things", description="Things.")

    @blp.route("", methods=["POST"])
    @bearer_required
    @blp.arguments(Order)
    @blp.response(201, Order)
    def make(order):
        return order

    @blp.route("/tolerant", methods=["POST"])
    @blp.arguments(Tolerant)
    @blp.response(200, Tolerant)
    def tolerant(thing):
        return thing

    @blp.route("/me")
    @bearer_required
    def me():
        return {"name": current_actor().name, "may": current_actor().may("readings", "view")}

    @blp.route("/page")
    @blp.arguments(Page, location="query")
    def page(query):
        return query

    @blp.route("/closed")
    def closed():
        raise Conflict("thing.closed", "It is closed.", {"id": 3})

    @blp.route("/broken")
    def broken():
        raise RuntimeError("inner secret")

    pages = PlainBlueprint("pages", __name__)

    @pages.get("/pages/broken")
    def broken_page():
        raise RuntimeError("inner secret")

    app.register_blueprint(pages)
    return blp


@pytest.fixture(scope="module")
def apps():
    """The applications of this module, by their settings."""
    return {}


@pytest.fixture
def app(settings: Settings, apps):
    """The application with some more views."""
    if settings not in apps:
        apps[settings] = with_views(settings)
    made = apps[settings]
    yield made
    conftest._let_go_of_the_database(made)
    conftest._forget(made)


def with_views(settings):
    install, apis = openapi.install, []

    def remembering(*args):
        apis.append(install(*args))
        return apis[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openapi, "install", remembering)
        made = create_app(settings)
    apis[0].register_blueprint(add_views(made))
    return made


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def token(app):
    """A personal token of a member of staff, as (its id, its text)."""
    with app.app_context(), transaction() as session:
        identity.found_roles(session)
        staff = identity.add_staff(
            session,
            SYSTEM,
            username="clerk",
            name="Wang",
            password_hash="-",
            roles=["billing_clerk"],
        )
        made, secret = identity.create_api_token(session, identity.actor_of(session, staff), "t")
        return made.id, secret


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


# --- errors -------------------------------------------------------------------------------


def test_fields_that_cannot_be_used_are_named_by_their_path(client, token):
    body = {"name": "too long", "lines": [{"value": "1"}, {"value": "x"}, {}], "odd": 1}
    answer = client.post("/api/v1/things", json=body, headers=bearer(token[1]))
    assert answer.status_code == 422
    assert answer.get_json() == {
        "code": "request.invalid",
        "message": "Some fields cannot be used.",
        "details": {
            "fields": {
                "name": ["Longer than maximum length 5."],
                "lines.1.value": ["Not a valid number."],
                "lines.2.value": ["Missing data for required field."],
                "odd": ["Unknown field."],
            }
        },
    }


def test_a_schema_may_ignore_fields_it_does_not_know(client):
    answer = client.post("/api/v1/things/tolerant", json={"name": "a", "odd": 1})
    assert (answer.status_code, answer.get_json()) == (200, {"name": "a"})


def test_a_bad_query_names_its_place(client):
    answer = client.get("/api/v1/things/page?limit=many")
    assert answer.status_code == 422
    assert answer.get_json()["details"] == {"fields": {"query.limit": ["Not a valid integer."]}}


def test_a_body_that_is_no_json_is_said_to_be_none(client):
    answer = client.post(
        "/api/v1/things/tolerant", data=b"{broken", content_type="application/json"
    )
    assert (answer.status_code, answer.get_json()["code"]) == (400, "request.not_json")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/none", 404, "http.not_found"),
        ("GET", "/device/v1/none", 404, "http.not_found"),
        ("DELETE", "/api/v1/things/me", 405, "http.method_not_allowed"),
        ("GET", "/api/v1/things/closed", 409, "thing.closed"),
        ("GET", "/api/v1/things/me", 401, "auth.token_missing"),
        ("GET", "/api/v1/things/broken", 500, "server.error"),
    ],
)
def test_every_failure_of_a_json_face_has_the_one_shape(client, method, path, status, code):
    answer = client.open(path, method=method)
    assert answer.status_code == status
    assert answer.is_json
    assert set(answer.get_json()) == {"code", "message", "details"}
    assert answer.get_json()["code"] == code
    assert "inner secret" not in answer.get_data(as_text=True)


def test_a_server_error_tells_the_id_to_look_for_in_the_logs(client):
    answer = client.get("/api/v1/things/broken")
    assert answer.get_json()["details"] == {"request_id": answer.headers["X-Request-Id"]}


def test_a_wrong_method_still_says_which_are_allowed(client):
    assert "GET" in client.delete("/api/v1/things/me").headers["Allow"]


@pytest.mark.parametrize(("path", "status"), [("/no/such/page", 404), ("/pages/broken", 500)])
def test_failures_elsewhere_stay_pages(client, path, status):
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.mimetype == "text/html"


# --- the door -----------------------------------------------------------------------------


def test_a_personal_token_opens_the_api_for_its_owner(app, client, token):
    answer = client.get("/api/v1/things/me", headers=bearer(token[1]))
    assert (answer.status_code, answer.get_json()) == (200, {"name": "Wang", "may": True})


@pytest.mark.parametrize(
    "header", ["", "fb_x", "Basic fb_abc", "Bearer ", "Bearer fbd_123", "Bearer x"]
)
def test_without_a_personal_token_nothing_is_opened(client, header):
    answer = client.get("/api/v1/things/me", headers={"Authorization": header})
    assert (answer.status_code, answer.get_json()["code"]) == (401, "auth.token_missing")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_that_is_unknown_revoked_or_of_someone_gone_opens_nothing(app, client, token):
    def code(secret):
        return client.get("/api/v1/things/me", headers=bearer(secret)).get_json().get("code")

    assert code("fb_unknown") == "auth.token_unknown"
    assert code(token[1]) is None
    with app.app_context(), transaction() as session:
        staff = session.execute(select(Staff)).scalar_one()
        staff.active = False
    assert code(token[1]) == "auth.token_unknown"
    with app.app_context(), transaction() as session:
        staff = session.execute(select(Staff)).scalar_one()
        staff.active = True
        identity.revoke_api_token(session, identity.actor_of(session, staff), token[0])
    assert code(token[1]) == "auth.token_unknown"


def test_the_last_use_is_kept_to_five_minutes(app, client, token):
    def last_used():
        with app.app_context(), snapshot() as session:
            return session.get_one(ApiToken, token[0]).last_used_at

    start = clock.now()
    for seconds, expected in ((0, 0), (299, 0), (300, 300), (301, 300)):
        clock.set(start + timedelta(seconds=seconds))
        assert client.get("/api/v1/things/me", headers=bearer(token[1])).status_code == 200
        assert last_used() == start + timedelta(seconds=expected)


def test_a_guesser_is_slowed_down_and_a_good_token_from_his_address_is_not(client, token):
    answers = [
        client.get("/api/v1/things/me", headers=bearer(f"fb_{n}"))
        for n in range(throttle.API_UNKNOWN.burst + 1)
    ]
    assert {answer.status_code for answer in answers[:-1]} == {401}
    assert answers[-1].status_code == 429
    assert answers[-1].get_json()["code"] == "throttle.too_many"
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert client.get("/api/v1/things/me", headers=bearer(token[1])).status_code == 200


def test_a_token_that_calls_too_often_waits(app, client, token, monkeypatch):
    monkeypatch.setattr(throttle, "API", throttle.Limit("api", burst=2, per_minute=0.1))
    answers = [client.get("/api/v1/things/me", headers=bearer(token[1])) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]


# --- the description ----------------------------------------------------------------------


def test_the_description_names_the_token_and_the_shape_of_errors(client):
    answer = client.get("/api/v1/openapi.json")
    document = answer.get_json()
    assert document["info"]["title"] == "Fieldbell"
    assert document["openapi"].startswith("3.")
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert document["security"] == [{"bearer": []}]
    assert set(document["components"]["schemas"]["Error"]["properties"]) == {
        "code",
        "message",
        "details",
    }
    assert "post" in document["paths"]["/api/v1/things"]


def test_the_description_holds_the_json_api_only(client):
    paths = client.get("/api/v1/openapi.json").get_json()["paths"]
    assert paths
    assert all(path.startswith("/api/v1/") for path in paths)
