"""Notes of staff on a member; an account that is stopped shows its reason at the till."""

import pytest

from portal.identity import notes, service
from tests.cast import BOB, CIRCLE, EVE, OLGA, SAM


def test_staff_writes_a_note_and_its_author_alone_changes_it(sign_in, acting):
    sam, olga = sign_in(SAM), sign_in(OLGA)
    page = f"/admin/members/{EVE.id}"
    assert sam.submit(page, form="write-note", body="Prefers <b>tea</b>").status_code == 303
    with acting(CIRCLE, SAM):
        [(note, author)] = notes.of_member(EVE.id)
        assert (author, note.body) == (SAM.name, "Prefers <b>tea</b>")
    shown = olga.get(page).text
    assert "Prefers &lt;b&gt;tea" in shown
    assert f"/admin/members/notes/{note.id}" not in shown
    assert olga.get(f"/admin/members/notes/{note.id}").status_code == 403
    with acting(CIRCLE, OLGA), pytest.raises(notes.NotYourNote):
        notes.edit(note.id, OLGA.id, "no")
    assert sam.submit(f"/admin/members/notes/{note.id}", form="note", body="Prefers coffee").status_code == 303
    assert "Prefers coffee" in olga.get(page).text
    assert sam.submit(f"/admin/members/notes/{note.id}", form="note", body=" ").status_code == 303
    with acting(CIRCLE, SAM):
        assert notes.of_member(EVE.id) == []


def test_the_member_and_the_shops_do_not_see_notes(sign_in, acting):
    with acting(CIRCLE, SAM):
        notes.write(EVE.id, SAM.id, "a-secret-note")
    for client, path in (
        (sign_in(EVE), "/me/data"),
        (sign_in(EVE), "/me"),
        (sign_in(BOB), f"/till/cafe/?q={EVE.card}"),
    ):
        assert "a-secret-note" not in client.get(path).text


def test_the_till_shows_why_an_account_is_stopped(sign_in, acting):
    with acting(CIRCLE, OLGA):
        service.suspend(EVE.id, reason="card reported stolen")
    bob = sign_in(BOB)
    told = bob.get(f"/till/cafe/members/{EVE.id}").text
    assert "card reported stolen" in told


def test_members_who_have_only_a_card_are_found(sign_in, acting):
    """D28: nobody has to have a way to sign in."""
    with acting(CIRCLE, OLGA):
        service.register_member(name="Cardonly Person", joined_via="desk")
    page = sign_in(OLGA).get("/admin/members?f.state=card_only").text
    assert "Cardonly Person" in page
    assert EVE.name not in page
