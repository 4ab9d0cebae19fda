"""Where the account that went leads, outside the desk: Telegram, notes, one's own data, erasure."""

import io
import json
import zipfile
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from portal.extensions import db
from portal.identity import notes, pairs
from portal.identity.models import ForeignIdentity, MemberMerge, MemberNote, User
from portal.kernel.model import new_id
from portal.leaving import erasure, export
from portal.leaving.registry import LINKS
from portal.merging import service as merging
from portal.telegram import service as telegram
from portal.telegram.models import TelegramAccount
from portal.telegram.signed import Told
from tests.cast import ALICE, CIRCLE, EVE, OLGA
from tests.purchases.shop import buy

HERS = Told(id=4242, first_name="Eve", last_name="", username="eve", language="en", at=0, digest="d")


def merged(goes=EVE, stays=ALICE):
    return merging.merge(goes.id, stays.id, reason="one person", key="k")


def linked(member):
    now = datetime.now(UTC)
    names = {"username": "eve", "first_name": "Eve", "last_name": "", "language": "en"}
    account = TelegramAccount(user_id=member.id, telegram_id=HERS.id, linked_at=now, updated_at=now, **names)
    identity = ForeignIdentity(
        id=new_id(), provider="telegram", subject=str(HERS.id), user_id=member.id, created_at=now
    )
    return account, identity


def test_one_telegram_at_two_members_asks_staff(acting, seed):
    """TMA-2: never taken over; the two stand first among the likely pairs, unless staff said that they are two."""
    seed(CIRCLE, *linked(EVE))
    with acting(CIRCLE, ALICE):
        with pytest.raises(telegram.LinkedElsewhere):
            telegram.link(ALICE.id, HERS)
        first = pairs.likely()[0]
        assert ({first.first.id, first.second.id}, first.why) == ({ALICE.id, EVE.id}, "asked")
    with acting(CIRCLE, OLGA):
        pairs.distinguish(EVE.id, ALICE.id)
        assert pairs.likely() == []


def test_telegram_comes_along_and_goes_back(acting, seed):
    seed(CIRCLE, *linked(EVE))
    with acting(CIRCLE, OLGA):
        made = merged()
        assert telegram.owner_of(HERS.id) == ALICE.id
        assert db.session.scalar(select(TelegramAccount.user_id)) == ALICE.id
        merging.undo(made, reason="two people")
        assert telegram.owner_of(HERS.id) == EVE.id


def test_notes_of_both_are_read_together(acting):
    with acting(CIRCLE, OLGA):
        notes.write(EVE.id, OLGA.id, "likes window seats")
        merged()
        assert [note.body for note, _ in notes.of_member(ALICE.id)] == ["likes window seats"]


def test_own_data_and_erasure_cover_both(acting):
    """security.md 13: what is counted and packed is of both accounts; erased, neither names anybody."""
    with acting(CIRCLE, OLGA):
        buy(10_000, member=EVE)
        notes.write(EVE.id, OLGA.id, "a note")
        merged()
        assert export.counted(ALICE.id)["users"] == 2
        made, held = io.BytesIO(), next(link for link in LINKS if link.table == "users")
        with zipfile.ZipFile(made, "w") as pack:
            assert export._table(pack, held, ALICE.id) == 2
            names = {row["name"] for row in json.loads(pack.read("json/users.json"))}
        assert names == {ALICE.name, EVE.name}
        erasure.erase(ALICE.id, reason="asked")
        left = select(func.count()).select_from(User).where(User.id.in_([ALICE.id, EVE.id]), User.name.in_(names))
        assert db.session.scalar(left) == 0
        assert db.session.scalar(select(func.count()).select_from(MemberNote)) == 0
        assert db.session.execute(select(MemberMerge.reason, MemberMerge.contacts)).one() == ("", {})
