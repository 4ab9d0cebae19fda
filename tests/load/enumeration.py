"""S7: nobody can find out who is a member: at the door, known and unknown people get the same bytes in the same time.

The bytes: tests/identity/test_door.py. The time: known and unknown in turn, from browsers of their own, medians compared.
"""

import statistics
import time
from collections.abc import Iterator

from tests import cast
from tests.load.proof import Row
from tests.load.world import World

NAMES = ("S7",)
APART_S = 0.005
WAYS = {  # what is sent where; every try names somebody else, as the limits of one person are another matter (S6, S10)
    "sign in": ("/login", lambda who: {"email": who, "password": "eight wrong words of it"}),
    "sign in by a code": ("/login", lambda who: {"email": who, "way": "code"}),
    "join": ("/join", lambda who: {"name": "Newcomer", "contact": who, "agreed": "y"}),
    "reset": ("/reset", lambda who: {"contact": who}),
}


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    with World.own(members=2) as world:
        yield apart(world, tries=500 if full else 20)


def apart(world: World, *, tries: int) -> Row:
    """Medians of `tries` known and as many unknown people, for each way, in milliseconds."""
    from portal.extensions import limiter

    members(world, tries)
    world.app.config.update(WTF_CSRF_ENABLED=False)
    limiter.enabled = False
    told, wrong = [], 0
    for way, (url, fields) in WAYS.items():
        taken: dict[bool, list[float]] = {True: [], False: []}
        for n in range(-10, tries):
            for known in (True, False) if n % 2 else (False, True):
                who = f"known{max(n, 0)}@circle.example" if known else f"other{n + 10}@circle.example"
                client = world.app.test_client(use_cookies=False)
                began = time.perf_counter()
                client.post(url, data=fields(who), base_url=f"http://{cast.CIRCLE.host}").close()
                if n >= 0:
                    taken[known].append(time.perf_counter() - began)
        known, unknown = statistics.median(taken[True]), statistics.median(taken[False])
        wrong += abs(known - unknown) >= APART_S
        told.append(f"{way} {known * 1000:.1f} / {unknown * 1000:.1f} ms")
    return Row(
        "S7",
        "known and unknown people at the door, medians less than 5 ms apart",
        len(WAYS) * 2 * tries,
        wrong,
        ", ".join(told),
    )


def members(world: World, count: int) -> None:
    """As many as Alice is, each with an e-mail of their own and her password."""
    with world.admin() as owner:
        owner.execute("SELECT set_config('app.tenant_id', %s, false)", (str(cast.CIRCLE.id),))
        owner.execute(
            "INSERT INTO users SELECT (jsonb_populate_record(u, jsonb_build_object('id', gen_random_uuid(), 'phone', null,"
            " 'email', 'known' || n || '@circle.example', 'card_number', '7' || lpad(n::text, 11, '0')))).*"
            " FROM users u, generate_series(0, %s) n WHERE u.id = %s",
            (count, cast.ALICE.id),
        )
