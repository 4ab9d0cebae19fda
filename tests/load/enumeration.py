"""S7: nobody can find out who is a member: at the door, known and unknown people get the same bytes in the same time.

The bytes: tests/identity/test_door.py. The time: known and unknown in turn, from browsers of their own. Since both of a pair
meet the same machine, the median of the pairs' differences is what is compared, with its 95 % interval by bootstrap.
"""

import random
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
    """How much longer a known person takes than an unknown one, for each way: the median of `tries` pairs, in milliseconds."""
    from portal.extensions import limiter

    members(world, tries + 10)
    world.app.config.update(WTF_CSRF_ENABLED=False)
    limiter.enabled = False
    told, wrong = [], 0
    for way, (url, fields) in WAYS.items():
        pairs = []
        for n in range(-10, tries):
            taken = {}
            for known in (True, False) if n % 2 else (False, True):
                who = f"known{n + 10}@circle.example" if known else f"other{n + 10}@circle.example"
                client = world.app.test_client(use_cookies=False)
                began = time.perf_counter()
                client.post(url, data=fields(who), base_url=f"http://{cast.CIRCLE.host}").close()
                taken[known] = time.perf_counter() - began
            pairs += [(taken[True], taken[False])] if n >= 0 else []
        longer = [known - unknown for known, unknown in pairs]
        low, high = interval(longer)
        wrong += abs(statistics.median(longer)) >= APART_S
        usual = statistics.median(unknown for _, unknown in pairs)
        told.append(
            f"{way} {usual * 1e3:.1f} ms {statistics.median(longer) * 1e3:+.2f} [{low * 1e3:+.2f}..{high * 1e3:+.2f}]"
        )
    return Row(
        "S7",
        "known and unknown people at the door in turn, less than 5 ms apart in the median",
        len(WAYS) * 2 * tries,
        wrong,
        ", ".join(told),
    )


def interval(found: list[float], rounds: int = 2_000) -> tuple[float, float]:
    """Between which values the median lies, 95 of 100 times."""
    chance = random.Random(7)
    medians = sorted(statistics.median(chance.choices(found, k=len(found))) for _ in range(rounds))
    return medians[rounds // 40], medians[-rounds // 40]


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
