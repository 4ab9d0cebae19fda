"""AUD-2: whoever sees a member's contacts in full, or takes a list or a file away, stands in the audit log."""

import re

import pytest
from sqlalchemy import select

from portal.files import service as files
from portal.identity.contacts import shown_phone
from portal.kernel.audit import AuditEntry
from tests.audit.test_log import ROOT, sentences
from tests.cast import ALICE, CAFE, CIRCLE, EVE, IRINA, OLGA, SAM

MEMBER = f"/admin/members/{ALICE.id}"


@pytest.fixture
def reads(seen_by):
    """Each read that is in the log: who, what, of whom."""

    def reads(*actions):
        columns = (AuditEntry.action, AuditEntry.actor_id, AuditEntry.object_id)
        asked = select(*columns).where(AuditEntry.action.in_(actions)).order_by(AuditEntry.seq)
        with seen_by(CIRCLE) as session:
            return [tuple(row) for row in session.execute(asked)]

    return reads


def whole(answer):
    """Whether a page shows Alice's contacts in full."""
    return {ALICE.email in answer.text, shown_phone(ALICE.phone) in answer.text}


def test_a_members_page_shows_the_ends_of_contacts_and_writes_down_who_wants_them_whole(sign_in, reads):
    """Seen red with the page that shows them whole, and with a look that is not written down."""
    support = sign_in(SAM)
    page = support.get(MEMBER)
    assert whole(page) == {False}
    assert f"••• {ALICE.phone[-4:]}" in page.text
    assert "a•••@circle.example" in page.text
    assert reads("member.read_contacts") == []
    link = re.search(r'href="([^"]+/contacts/shown)"', page.text)[1]
    part = support.get(link, headers={"HX-Request": "true"})
    assert part.text.lstrip().startswith('<section class="panel grid gap-3" id="contact-data"')
    assert whole(part) == whole(support.get(link)) == {True}
    assert reads("member.read_contacts") == [("member.read_contacts", SAM.id, ALICE.id)] * 2
    assert f"{SAM.name} looked at a member’s contacts" in sentences(sign_in(OLGA).get("/admin/audit"))


def test_a_members_timeline_says_every_act_in_words(sign_in):
    olga = sign_in(OLGA)
    olga.submit(MEMBER, form="write-note", body="Calls before noon are welcome.")
    olga.get(f"{MEMBER}/contacts/shown")
    page = olga.get(f"{MEMBER}?f.kind=audit").text
    assert "Looked at a member’s contacts" in page
    assert "note.write" not in page


def test_what_is_refused_and_a_link_to_sign_in_show_them_too(sign_in, reads):
    """Seen red with only the form's first showing written down."""
    support = sign_in(SAM)
    assert True in whole(support.post(f"{MEMBER}/contacts", data={"name": ""}))
    assert reads("member.read_contacts") == [("member.read_contacts", SAM.id, ALICE.id)]
    assert ALICE.email in support.get(f"/admin/invitations/members/{ALICE.id}").text
    assert reads("member.read_contacts") == [("member.read_contacts", SAM.id, ALICE.id)] * 2


def test_the_form_and_the_comparison_show_them_whole_and_are_written_down(sign_in, reads):
    olga = sign_in(OLGA)
    assert (
        whole(olga.get(f"{MEMBER}/merge?q=alice"))
        == whole(olga.get(f"/admin/members/{EVE.id}/merge?q=alice"))
        == {False}
    )
    assert reads("member.read_contacts") == []
    assert ALICE.email in olga.get(f"{MEMBER}/contacts").text
    assert whole(olga.get(f"{MEMBER}/merge/{EVE.id}")) == {True}
    assert [key for _, _, key in reads("member.read_contacts")] == [ALICE.id, ALICE.id, EVE.id]


def test_a_file_that_staff_takes_away_is_written_down_and_ones_own_is_not(sign_in, acting, reads, app):
    with acting(CIRCLE, IRINA):
        rejects = files.store([b"line;reason\n"], "rejects.csv", "import_rejects", business_id=CAFE.id)
        own = files.store([b"hello"], "own.txt", "attachment", owner_id=IRINA.id)
    with acting(CIRCLE, IRINA), app.test_request_context(base_url=f"http://{CIRCLE.host}:8000"):
        urls = [files.signed_url(one) for one in (rejects, own)]
    irina = sign_in(IRINA)
    assert [irina.get(url).status_code for url in urls] == [200, 200]
    assert reads("file.read") == [("file.read", IRINA.id, rejects)]


def test_there_is_one_way_to_write_a_read_down():
    """`written_down` alone, but for what Telegram's members ask for themselves."""
    readers = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "portal").rglob("*.py")
        if "reads=True)" in path.read_text() and path.name != "commands.py"
    }
    assert readers == {"portal/kernel/reads.py", "portal/telegram/service.py"}
