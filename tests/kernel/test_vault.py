"""What is kept encrypted opens in its own place only, and not at all once its person's key is dropped."""

from uuid import uuid4

import pytest

from portal.extensions import db
from portal.kernel import vault
from portal.kernel.commands import command
from portal.settings import settings
from tests.cast import ALICE, CIRCLE, GLOBEX

ROW = uuid4()
PLACE = {"table": "kyc_documents", "column": "body", "row": ROW}


@pytest.fixture
def sealed(acting):
    with acting(CIRCLE):
        yield command("test.seal")(vault.seal)("passport 4509", **PLACE, subject=ALICE.id)


def test_a_secret_opens_in_its_own_place(sealed):
    assert vault.unseal(sealed, **PLACE) == b"passport 4509"
    assert b"4509" not in sealed


@pytest.mark.parametrize("moved", [{"row": uuid4()}, {"column": "number"}, {"table": "users"}])
def test_a_secret_copied_elsewhere_does_not_open(sealed, moved):
    with pytest.raises(vault.Unreadable):
        vault.unseal(sealed, **{**PLACE, **moved})


def test_a_flipped_bit_is_found(sealed):
    with pytest.raises(vault.Unreadable):
        vault.unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]), **PLACE)


def test_another_tenant_cannot_open_it(acting):
    with acting(CIRCLE):
        theirs = command("test.seal")(vault.seal)("passport 4509", **PLACE, subject=ALICE.id)
    with acting(GLOBEX), pytest.raises(vault.Unreadable):
        vault.unseal(theirs, **PLACE)


def test_after_shredding_nothing_of_the_person_opens(sealed):
    command("test.shred")(vault.shred)(ALICE.id)
    with pytest.raises(vault.Unreadable):
        vault.unseal(sealed, **PLACE)


def test_a_new_master_key_takes_over_and_the_old_one_may_go(sealed, monkeypatch):
    old = settings()
    for keys, state in ((("N" * 40, old.SECRET_KEY), 1), (("N" * 40, old.SECRET_KEY), 0), (("N" * 40,), 0)):
        fallbacks = list(keys[1:])
        monkeypatch.setattr(
            vault,
            "settings",
            lambda f=fallbacks: old.model_copy(update={"MASTER_KEY": "N" * 40, "MASTER_KEY_FALLBACKS": f}),
        )
        assert command("test.rewrap")(vault.rewrap)() == state
        assert vault.unseal(sealed, **PLACE) == b"passport 4509"
    monkeypatch.setattr(vault, "settings", lambda: old)
    db.session.expire_all()
    with pytest.raises(vault.Unreadable):
        vault.unseal(sealed, **PLACE)


def test_a_blind_index_is_a_tenants_own(acting):
    blind = command("test.blind")(vault.blind)
    with acting(CIRCLE):
        here = blind("4509 123456", "kyc")
        assert here == blind("4509 123456", "kyc") != blind("4509 123456", "phone")
    with acting(GLOBEX):
        assert blind("4509 123456", "kyc") != here
