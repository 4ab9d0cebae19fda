"""A tenant's mails come from its own address while the proof of its domain holds, and from the portal's otherwise."""

import pytest

from portal.identity.roles import grant_role
from tests.cast import ALICE, BOB, CIRCLE, MALLORY, OLGA
from tests.purchases.shop import buy
from tests.tenants.test_domains import HOST, add, names, press, record
from workers.periodic import LOCAL_WORK

__all__ = ["names"]  # a fixture
pytestmark = pytest.mark.commits
PAGE = "/admin/settings/texts"
OURS = "hello@krug.localhost"


def save(browser, address, **more):
    return browser.submit(
        PAGE, form="texts-form", **{"text-en": "Hello all", "audience": "all"}, from_address=address, **more
    )


@pytest.fixture
def olga(sign_in, names):
    """The admin, after the domain of the circle was proved; it need not answer."""
    browser = sign_in(OLGA)
    add(browser)
    names.records[f"_krug.{HOST}"] = [record(browser)]
    press(browser, "check")
    return browser


@pytest.fixture
def mailed(acting, deliver, sink):
    """Alice buys and gets a mail: From, Reply-To and the sender on the envelope."""

    def mailed():
        with acting(CIRCLE, BOB):
            buy(124_000)
        deliver()
        mail, sent = sink.to(ALICE)[-1], sink.envelopes[-1]
        return mail["From"].addresses[0].addr_spec, str(mail["Reply-To"] or ""), sent

    return mailed


def test_mails_come_from_the_proved_address_and_so_do_their_envelopes(olga, mailed):
    """SPF looks at the envelope, and DMARC wants both to be of one domain. Seen red with the portal's address on it."""
    assert mailed() == (OURS, "", OURS)
    assert save(olga, f"Anna@{HOST}", sender="Anna").status_code == 303
    assert f'value="anna@{HOST}"' in olga.get(PAGE).text
    assert mailed() == (f"anna@{HOST}", "", f"anna@{HOST}")
    assert save(olga, f"anna@news.{HOST}", reply_to="desk@circle.example").status_code == 303
    assert mailed() == (f"anna@news.{HOST}", "desk@circle.example", f"anna@news.{HOST}")


def test_a_mail_server_that_does_not_know_the_address_sends_from_the_portals(olga, mailed, sink):
    """Proof in the DNS is not yet leave to send. Seen red without the second try: nobody got a code any more."""
    save(olga, f"anna@{HOST}", sender="Anna")
    sink.relays_for = OURS
    assert mailed() == (OURS, f"anna@{HOST}", OURS)
    assert sink.to(ALICE)[-1]["From"].addresses[0].display_name == "Anna"


@pytest.mark.parametrize("address", ["anna@example.com", f"anna@evil{HOST}", f"anna@{HOST}.evil.example"])
def test_an_address_of_an_unproved_domain_is_refused_and_what_was_typed_stays(olga, address):
    """A name above the proved one, and two that look alike. Seen red with `endswith(host)`."""
    answer = save(olga, address, sender="Anna of Circle")
    assert answer.status_code == 422
    assert "Prove first that" in answer.text
    for typed in (address, "Anna of Circle", "Hello all"):
        assert f'value="{typed}"' in answer.text


def test_a_proof_that_has_ended_since_carries_no_new_address(olga, names, monkeypatch):
    """Name servers that do not answer just then stand in nobody's way. Seen red with the proof of the claim's first day."""
    kept = names.records.copy()
    names.records.clear()
    answer = save(olga, f"anna@{HOST}")
    assert (answer.status_code, "Prove first that" in answer.text) == (422, True)
    names.records.update(kept)
    press(olga, "check")
    names.stop()
    monkeypatch.setattr("portal.tenants.dns.PATIENCE_S", 0.3)
    assert save(olga, f"anna@{HOST}").status_code == 303


def test_what_another_tenant_proved_is_not_ours(olga, sign_in, acting):
    mallory = sign_in(MALLORY)
    assert save(mallory, f"anna@{HOST}").status_code == 422


@pytest.mark.parametrize("way", ["record", "claim"])
def test_when_the_proof_ends_mails_come_from_the_portal_again(olga, mailed, names, acting, way):
    """The record is gone from the DNS, which the nightly look finds, or the claim is given up. Seen red with the proof
    looked at only as the page is saved.
    """
    save(olga, f"anna@{HOST}")
    if way == "record":
        names.records.clear()
        with acting(CIRCLE):
            LOCAL_WORK["domains.recheck"]()
    else:
        press(olga, "drop")
    assert mailed() == (OURS, f"anna@{HOST}", OURS)
    page = olga.get(PAGE).text
    assert "does not hold any more" in page
    assert save(olga, f"anna@{HOST}", sender="Anna").status_code == 303, "the rest of the page can be saved"


@pytest.mark.parametrize("way", ["record", "claim"])
def test_every_admin_hears_once_that_the_proof_has_ended(olga, names, acting, deliver, sink, way):
    """In the inbox and by mail, from the portal's address; not each night anew. Seen red without the look at what held before,
    and with one notice for all, of which one admin got the mail.
    """
    with acting(CIRCLE):
        grant_role(ALICE.id, "admin")
    save(olga, f"anna@{HOST}")
    if way == "record":
        names.records.clear()
    else:
        press(olga, "drop")
    for _ in range(2):
        with acting(CIRCLE):
            LOCAL_WORK["domains.recheck"]()
        deliver()
    for admin in (OLGA, ALICE):
        told = [mail for mail in sink.to(admin) if mail["Subject"] == "Your mails have lost their address"]
        assert [mail["From"].addresses[0].addr_spec for mail in told] == [OURS]
    assert olga.get("/me/notifications").text.count(f"The record that proves {HOST}") == 1


def test_name_servers_that_do_not_answer_bring_no_lost_proof_back(olga, mailed, names, acting, monkeypatch):
    monkeypatch.setattr("portal.tenants.dns.PATIENCE_S", 0.3)
    save(olga, f"anna@{HOST}")
    names.records.clear()
    with acting(CIRCLE):
        LOCAL_WORK["domains.recheck"]()
    names.stop()
    with acting(CIRCLE):
        LOCAL_WORK["domains.recheck"]()
    assert mailed()[0] == OURS


def test_name_servers_that_do_not_answer_end_no_proof(olga, mailed, names, acting, monkeypatch):
    monkeypatch.setattr("portal.tenants.dns.PATIENCE_S", 0.3)
    save(olga, f"anna@{HOST}")
    names.stop()
    with acting(CIRCLE):
        LOCAL_WORK["domains.recheck"]()
    assert mailed()[0] == f"anna@{HOST}"
