"""F16: one message in a thousand that no subscriber can read. The others arrive, it is given up, seen, mended and sent again."""

from collections.abc import Iterator
from urllib.parse import urlencode
from urllib.request import Request, urlopen
from uuid import uuid4

from portal.kernel.outbox import MAX_ATTEMPTS
from tests import cast
from tests.load.proof import Row
from tests.load.world import World, acting, signed_in, until

NAMES = ("F16",)


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    with World.own(members=4) as world:
        yield poisoned(world, messages=1_000 if full else 60)


def poisoned(world: World, *, messages: int) -> Row:
    """F16: the poison is in the middle of what a stopped relay finds when it comes back."""
    _sell(world, messages)
    poison = world.one(
        "UPDATE outbox_messages SET data = data || jsonb_build_object('purchase_id', 'poison') WHERE id ="
        " (SELECT id FROM outbox_messages WHERE type = 'purchase.recorded' ORDER BY seq OFFSET %s LIMIT 1) RETURNING id",
        messages // 2,
    )
    world.relay()
    world.pool("fast", 2)
    world.web(workers=1)
    until(
        lambda: world.one("SELECT count(*) FROM outbox_deliveries WHERE open AND message_id <> %s", poison) == 0,
        within=300,
    )
    tries = world.one("SELECT max(attempts) FROM outbox_deliveries WHERE message_id = %s", poison)
    held_up = world.one(
        "SELECT count(*) FROM outbox_deliveries WHERE message_id <> %s AND status <> 'delivered'", poison
    )
    world.drain(within=300)
    dead = world.one("SELECT count(*) FROM outbox_deliveries WHERE status = 'dead'")
    wrong = [f"{held_up} others were held up or given up"] if held_up else []
    others = world.one("SELECT count(*) FROM outbox_deliveries WHERE status = 'dead' AND message_id <> %s", poison)
    last = world.one("SELECT min(attempts) FROM outbox_deliveries WHERE status = 'dead'")
    wrong += (
        [] if dead and not others and last == MAX_ATTEMPTS else [f"{dead} dead, {others} of others, after {last} tries"]
    )
    wrong += _seen_and_sent_again(world, poison, dead)
    for difference in wrong:
        print(f"F16: {difference}", flush=True)
    return world.checked(
        Row(
            "F16",
            f"one poisoned message among {messages:,}: the others arrive, it is dead after {MAX_ATTEMPTS} tries, seen by the"
            " admin, mended and replayed",
            messages,
            len(wrong),
            f"{dead} of its subscribers gave it up; it had been tried {tries} times when the last of the others arrived",
        )
    )


def _sell(world: World, count: int) -> None:
    from portal.purchases.service import record_purchase

    with acting(world.app, cast.BOB):
        for _ in range(count):
            record_purchase(
                business_id=cast.CAFE.id,
                member_id=cast.ALICE.id,
                amount=10_000,
                external_id=f"F16-{uuid4()}",
                source="till",
            )


def _seen_and_sent_again(world: World, poison, dead: int) -> list[str]:
    cookie, token = signed_in(world.app, cast.OLGA)
    mine = {"Cookie": f"sid={cookie}"}
    status, page = world.get("/admin/outbox", headers=mine)
    rows = page.decode().count(f"/admin/outbox/messages/{poison}")
    wrong = [] if status == 200 and rows >= dead else [f"/admin/outbox answers {status} and names it {rows} times"]
    world.one(
        "UPDATE outbox_messages SET data = data || jsonb_build_object('purchase_id', aggregate_id) WHERE id = %s RETURNING 1",
        poison,
    )
    headers = {**mine, "Host": cast.CIRCLE.host, "X-CSRFToken": token}
    sent = Request(f"http://127.0.0.1:{world.port}/admin/outbox/replays", urlencode({"all": "1"}).encode(), headers)
    try:
        urlopen(sent, timeout=30).close()
    except OSError as refused:  # the answer leads to a page of the tenant's own host name
        if getattr(refused, "code", 303) >= 400:
            wrong.append(f"the replay was answered {refused}")
    until(lambda: world.on_its_way() == 0, within=60)
    left = world.one("SELECT count(*) FROM outbox_deliveries WHERE status <> 'delivered'")
    return wrong + ([f"{left} deliveries are not there after the replay"] if left else [])
