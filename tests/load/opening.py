"""How long a tenant takes from the operator's press of a button to its first sale, by production's processes."""

import email
import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from email import policy
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.chromium import found
from tests.browser.opening import People, open_and_sell
from tests.cast import OPERATOR_EMAIL
from tests.load.proof import Row
from tests.load.world import World, until

NAMES = ("U1",)
SECRET = "lantern orchard seventeen"
SIZES = {"phone": (390, 844), "tablet": (820, 1180), "desk": (1440, 900)}
ENOUGH_S = 60.0
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


def run(names: list[str], full: bool) -> Iterator[Row]:
    for _ in names:
        yield usable(full)


def usable(full: bool) -> Row:
    """Tenants one after the other, each by four browsers: the operator's, the owner's, the cashier's, the member's.

    Wrong is one that has not sold within a minute. The seconds are those of machines: nobody types, reads or thinks.
    """
    from portal.platform.service import create_operator

    rounds, took, wrong = 5 if full else 1, [], []
    with World.own(members=1, mail=True, OPERATOR_SECOND_FACTOR="false") as world, sync_playwright() as playwright:
        with world.app.app_context():
            create_operator(OPERATOR_EMAIL, "Sergey Petrov", SECRET)
        world.web()
        world.relay()
        world.pool("fast", 2)
        chromium = playwright.chromium.launch(executable_path=found(), args=[*QUIET])
        for number in range(rounds):
            with ExitStack() as windows:
                people = People(lambda host, size, w=windows: _window(chromium, w, world, host, size), _mails(world))
                moments = open_and_sell(
                    people, ops="ops.localhost", email=OPERATOR_EMAIL, password=SECRET,
                    slug=f"nord{number}", base="localhost",
                )  # fmt: skip
            took.append(moments)
            wrong += [number] if moments["sold"] > ENOUGH_S else []
        chromium.close()
        world.drain()
        steps = ", ".join(f"{step} {statistics.median(m[step] for m in took):.1f} s" for step in took[0])
        worst = max(m["sold"] for m in took)
        row = Row(
            "U1", "a tenant from the operator's button to its first sale", rounds, len(wrong),
            f"median: {steps}; slowest {worst:.1f} s",
        )  # fmt: skip
        return world.checked(row)


def _window(chromium, windows: ExitStack, world: World, host: str, size: str):
    width, height = SIZES[size]
    context = chromium.new_context(
        viewport={"width": width, "height": height}, locale="en", base_url=f"http://{host}:{world.port}"
    )
    windows.callback(context.close)
    context.set_default_timeout(60_000)
    return context.new_page()


def _mails(world: World):
    """The newest mail to an address, once there is one."""

    def newest(address: str):
        files = sorted((Path(world.mail) / "new").iterdir(), key=lambda file: file.stat().st_mtime_ns)
        mails = [email.message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]
        return next((mail for mail in reversed(mails) if address in (mail["To"] or "")), None)

    return lambda address: until(lambda: newest(address))
