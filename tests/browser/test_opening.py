"""A new tenant is in use at once: the operator opens it, its owner comes by the mail, a member joins, a cashier sells."""

import pytest

from portal.platform.service import create_operator
from tests.browser.opening import People, open_and_sell
from tests.cast import OPERATOR_EMAIL
from tests.platform.test_operator import OPS, SECRET

pytestmark = pytest.mark.browser


def test_a_tenant_opened_from_a_template_sells_to_its_first_member(browse, app, deliver, sink):
    with app.app_context():
        create_operator(OPERATOR_EMAIL, "Sergey Petrov", SECRET)

    def mail(address):
        deliver()
        return sink.at(address)[-1]

    people = People(lambda host, size: browse(size=size, host=host), mail)
    moments = open_and_sell(
        people, ops=OPS, email=OPERATOR_EMAIL, password=SECRET, slug="nord", base=OPS.removeprefix("ops.")
    )
    assert list(moments) == ["open", "owner", "cashier", "member", "sold"]
