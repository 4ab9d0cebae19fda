"""The people of the tests. They live in the template database, so every test finds them, and finds them unchanged.

`circle` is a neighbourhood with two shops; `globex` is somebody else's tenant and must never show in it.
"""

from dataclasses import dataclass, field
from uuid import UUID

PASSWORD = "correct horse battery staple"


def uid(n: int) -> UUID:
    return UUID(int=0x0192_0000_0000_7000_8000_0000_0000_0000 + n)


@dataclass(frozen=True)
class Shop:
    id: UUID
    slug: str
    name: str


@dataclass(frozen=True)
class Community:
    id: UUID
    slug: str
    name: str
    currency: str
    shops: dict[str, Shop] = field(default_factory=dict, compare=False)

    @property
    def host(self) -> str:
        return f"{self.slug}.localhost"


@dataclass(frozen=True)
class Someone:
    id: UUID
    name: str
    tenant: Community
    email: str
    card: str
    phone: str | None = None
    locale: str = "en"
    roles: tuple[str, ...] = ()
    posts: tuple[tuple[str, str], ...] = ()  # (shop, role)


def luhn(first: str) -> str:
    total = sum(sum(divmod(int(d) * (2 - i % 2), 10)) for i, d in enumerate(reversed(first)))
    return first + str(-total % 10)


CIRCLE = Community(uid(1), "circle", "Circle", "RUB")
GLOBEX = Community(uid(2), "globex", "Globex", "USD")
CAFE = Shop(uid(11), "cafe", "Par Coffee")
BOOKS = Shop(uid(12), "books", "Polka Books")
FOREIGN_CAFE = Shop(uid(21), "cafe", "Globex Cafeteria")
CIRCLE.shops.update(cafe=CAFE, books=BOOKS)
GLOBEX.shops.update(cafe=FOREIGN_CAFE)
TENANTS = (CIRCLE, GLOBEX)


def _person(n: int, name: str, tenant: Community = CIRCLE, **more) -> Someone:
    handle = name.split()[0].lower()
    return Someone(
        uid(n),
        name,
        tenant,
        f"{handle}@{tenant.slug}.example",
        luhn(f"{50_000_000_000 + n}"),
        f"+7912000{n:04d}",
        **more,
    )


ALICE = _person(101, "Alice Morozova")
EVE = _person(102, "Eve Sokolova", locale="ru")
BOB = _person(103, "Bob Petrov", posts=(("cafe", "cashier"),))
CAROL = _person(104, "Carol Orlova", posts=(("cafe", "manager"),))
IRINA = _person(105, "Irina Zotova", posts=(("cafe", "owner"),))
BORIS = _person(106, "Boris Knigin", posts=(("books", "cashier"),))
OLGA = _person(107, "Olga Klimova", roles=("admin",))
FRANK = _person(108, "Frank Wechsler", roles=("finance",))
SAM = _person(109, "Sam Suvorov", roles=("support",))
ED = _person(110, "Ed Lvov", roles=("editor",))
MALLORY = _person(201, "Mallory Stone", GLOBEX, roles=("admin",), posts=(("cafe", "owner"),))
TRENT = _person(202, "Trent Wood", GLOBEX)
PEOPLE = (ALICE, EVE, BOB, CAROL, IRINA, BORIS, OLGA, FRANK, SAM, ED, MALLORY, TRENT)
OPERATOR_EMAIL = "operator@krug.example"

TIERS = (  # code, threshold in minor units, per cent
    ("bronze", 0, 3),
    ("silver", 1_000_000, 5),
    ("gold", 4_000_000, 7),
    ("platinum", 10_000_000, 10),
)
TIER_NAMES = {"bronze": "Бронза", "silver": "Серебро", "gold": "Золото", "platinum": "Платина"}


def build(app) -> None:
    """Put the cast into an empty, migrated database."""
    import psycopg
    from flask import g
    from psycopg.types.json import Jsonb

    from portal.extensions import db
    from portal.kernel import clock
    from portal.kernel.tenancy import tenant_scope
    from portal.settings import settings

    with psycopg.connect(settings().database_url("portal_owner")) as owner:
        for code, exponent, kind in (("RUB", 2, "fiat"), ("USD", 2, "fiat"), ("PTS", 0, "points")):
            owner.execute("INSERT INTO currencies VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", (code, exponent, kind))
        for tenant in TENANTS:
            owner.execute(
                "INSERT INTO tenants (id, slug, name, kind, currency, timezone, default_locale, locales, modules, allowed_modules, brand)"
                " VALUES (%s,%s,%s,'sandbox',%s,'Europe/Moscow','en','{en,ru}','{loyalty,till,imports,messages}','{loyalty,till,imports,messages}',%s)",
                (
                    tenant.id,
                    tenant.slug,
                    tenant.name,
                    tenant.currency,
                    Jsonb({"hue": 37, "chroma": 0.145, "lightness": 51.5, "mark": "ring"}),
                ),
            )
            owner.execute(
                'INSERT INTO tenant_domains (host, tenant_id, "primary") VALUES (%s, %s, true)',
                (tenant.host, tenant.id),
            )
    with app.app_context():
        g.seeding = True
        for tenant in TENANTS:
            with tenant_scope(tenant.id):
                _fill(tenant, db, clock.now())
                db.session.commit()
        g.seeding = False


def _fill(tenant, db, now) -> None:
    from argon2 import PasswordHasher

    from portal.identity.models import MemberWord, TenantRole, User
    from portal.kernel.model import I18n
    from portal.loyalty.models import StatusTier, TierProgram
    from portal.partners.models import Business, BusinessLocation, BusinessStaff

    password = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash(PASSWORD)
    own = [p for p in PEOPLE if p.tenant is tenant]
    for person in own:
        text = " ".join([person.name.casefold(), person.email, person.phone or "", person.card])
        db.session.add(
            User(
                id=person.id,
                name=person.name,
                email=person.email,
                phone=person.phone,
                password_hash=password,
                search_text=text,
                locale=person.locale,
                card_number=person.card,
                joined_at=now,
                joined_via="demo",
            )
        )
    db.session.flush()
    for person in own:
        for word in {*person.name.casefold().split(), person.email, person.phone.lstrip("+"), person.card}:
            db.session.add(MemberWord(word=word, member_id=person.id))
        for role in person.roles:
            db.session.add(TenantRole(user_id=person.id, role=role))
    for shop in tenant.shops.values():
        db.session.add(
            Business(
                id=shop.id,
                slug=shop.slug,
                name=shop.name,
                category="food",
                currency=tenant.currency,
                description_i18n=I18n(),
                spend_confirmation="none",
            )
        )
    db.session.flush()
    for shop in tenant.shops.values():
        db.session.add(BusinessLocation(business_id=shop.id, name="Main street", address="Main street 1"))
    for person in own:
        for shop, role in person.posts:
            db.session.add(BusinessStaff(business_id=tenant.shops[shop].id, user_id=person.id, role=role))
    program = TierProgram(id=uid(tenant.id.int % 10 + 300), currency=tenant.currency)
    db.session.add(program)
    db.session.flush()
    for rank, (code, threshold, rate) in enumerate(TIERS):
        db.session.add(
            StatusTier(
                id=uid(tenant.id.int % 10 * 10 + 310 + rank),
                program_id=program.id,
                code=code,
                rank=rank,
                threshold=threshold,
                rate_num=rate,
                rate_den=100,
                name_i18n=I18n(en=code.title(), ru=TIER_NAMES[code]),
            )
        )
