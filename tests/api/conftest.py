"""Keys of the two shops, and a till that speaks JSON."""

import json
from uuid import uuid4

import pytest

from tests.cast import CAFE, CIRCLE

SCOPES = ["members.find", "purchases.create", "purchases.read", "purchases.refund"]


@pytest.fixture
def key_of(acting):
    """A key of a shop: `key_of(CAFE, scopes=[…])`; returns the whole key."""
    from portal.partners.keys import create_key

    def key_of(shop=CAFE, tenant=CIRCLE, scopes=SCOPES, **more):
        with acting(tenant):
            return create_key(shop.id, "Till 1", scopes, **more)[1]

    return key_of


class Till:
    """What the tests call with: a key in the header, JSON in the body."""

    def __init__(self, app, key, host):
        self.client, self.key, self.host = app.test_client(), key, host

    def call(self, method, path, body=None, headers=None, **more):
        sent = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        sent.update(headers or {})
        if body is not None:
            more.setdefault("data", body if isinstance(body, str | bytes) else json.dumps(body))
            more.setdefault("content_type", "application/json")
        return self.client.open(
            f"/api/v1{path}", method=method, headers=sent, base_url=f"http://{self.host}:8000", **more
        )

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, body, *, key=None, **more):
        return self.call(
            "POST", path, body, headers={"Idempotency-Key": key or str(uuid4()), **more.pop("headers", {})}, **more
        )

    def sell(self, key=None, **fields):
        return self.post("/purchases", sale(**fields), key=key)


def sale(**fields):
    """A sale to Alice for 100 roubles."""
    from tests.cast import ALICE

    made = {"external_id": "S-1", "member": ALICE.card, "amount": "100.00", "currency": "RUB", **fields}
    return {name: value for name, value in made.items() if value is not ...}


@pytest.fixture
def till(app, key_of):
    """A till of the cafe; `till(key, tenant)` is another one."""

    def till(key=None, tenant=CIRCLE):
        return Till(app, key_of() if key is None else key, tenant.host)

    return till
