"""A member takes everything along and leaves, as they do it: by hand, on a phone."""

import io
import json
import re
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from portal.kyc import service as kyc
from portal.settings import settings
from portal.tenants import hosts
from tests.cast import ALICE, CIRCLE, EVE, OLGA, PASSWORD
from tests.kyc.sending import sent
from tests.leaving.test_erasure import hits
from tests.purchases.shop import buy

pytestmark = pytest.mark.browser


@pytest.fixture
def lived(acting):
    """Alice bought something and sent a passport; no file is left of tests before."""
    for path in Path(settings().files_url.removeprefix("file://")).rglob("*"):
        if path.is_file():
            path.unlink()
    with acting(CIRCLE, OLGA):
        kyc.set_rules({"enabled": True})
    hosts.forget()
    with acting(CIRCLE, OLGA):
        buy(124_000, member=ALICE)
        sent(ALICE)
    yield
    hosts.forget()


def test_a_member_takes_their_data_along_and_leaves_nothing_behind(lived, browse, deliver, tmp_path):
    words = {"name": ALICE.name, "email": ALICE.email, "phone": ALICE.phone, "card": ALICE.card}
    assert set(hits(words)) == set(words), "what is looked for can be found"
    phone = browse(ALICE, "phone")
    phone.goto("/me/data")
    expect(phone.locator("main")).to_contain_text("Verification and documents")
    phone.get_by_role("button", name="Pack my data").click()
    phone.wait_for_url(re.compile("/jobs/"))
    deliver()
    phone.goto("/me/data")
    with phone.expect_download() as found:
        phone.get_by_role("button", name="Download").click()
    found.value.save_as(tmp_path / "mine.zip")
    with zipfile.ZipFile(tmp_path / "mine.zip") as pack:
        assert pack.testzip() is None
        assert json.loads(pack.read("json/users.json"))[0]["email"] == ALICE.email
        assert json.loads(pack.read("json/purchases.json"))[0]["amount"] == 124_000
        assert Image.open(io.BytesIO(pack.read("documents/1-front.jpg"))).size == (900, 600)
        assert EVE.email not in pack.read("json/users.json").decode()
    phone.goto("/me/data")
    expect(phone.get_by_role("button", name="Download")).to_have_count(0)

    phone.get_by_role("link", name=re.compile("Leave Circle")).click()
    phone.get_by_role("button", name="Leave for good").click()
    expect(phone.locator("#leave [aria-invalid=true]")).to_have_count(1)
    phone.get_by_label("I understand that nobody can bring this back").check()
    phone.get_by_role("button", name="Leave for good").click()
    expect(phone.get_by_text("You have left.")).to_be_visible()
    phone.goto("/me")
    expect(phone).to_have_url(re.compile("/login"))
    phone.fill("[name=email]", ALICE.email)
    phone.fill("[name=password]", PASSWORD)
    phone.press("[name=password]", "Enter")
    expect(phone.locator("form [role=alert], .alert, #sign-in [aria-invalid=true]").first).to_be_visible()
    phone.goto("/me")
    expect(phone).to_have_url(re.compile("/login"))
    deliver()
    assert hits(words) == []
