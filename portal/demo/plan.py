"""The demo world as data: three communities, their shops, their people. Everything here is invented."""

from collections.abc import Mapping
from dataclasses import dataclass

from portal.demo.rhythm import Trade

ALL_DAY = {9: 1, 10: 2, 11: 2, 12: 3, 13: 3, 14: 2, 15: 2, 16: 2, 17: 3, 18: 4, 19: 3, 20: 1}
MORNING = {7: 3, 8: 6, 9: 5, 10: 3, 11: 2, 12: 3, 13: 3, 14: 2, 15: 2, 16: 2, 17: 3, 18: 2, 19: 1}
EVENING = {12: 1, 14: 1, 16: 2, 18: 4, 19: 6, 20: 4, 21: 3}
OFFICE = (1.1, 1.1, 1.1, 1.2, 1.3, 0.8, 0.5)
WEEKEND = (0.5, 0.5, 0.6, 0.7, 1.4, 2.0, 1.6)
EVEN = (1.0, 0.9, 1.0, 1.0, 1.2, 1.3, 0.8)
WINTER = (1.2, 1.15, 1.0, 0.95, 0.85, 0.75, 0.7, 0.75, 0.95, 1.1, 1.2, 1.4)
FLAT = (1.0,) * 12


@dataclass(frozen=True, slots=True)
class Shop:
    """A business of the demo."""

    slug: str
    name: str
    category: str
    address: str
    about_en: str
    about_ru: str
    visits: float
    bill: float
    spread: float
    week: tuple[float, ...]
    hours: Mapping[int, float]
    season: tuple[float, ...] = FLAT
    confirmation: str = "card_scan"

    def trade(self, scale: float, step: int) -> Trade:
        """Its habits in the tenant's currency."""
        return Trade(self.slug, self.visits, self.bill * scale, self.spread, self.week, self.hours, self.season, step)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody to sign in as; `role` is a member's, a business's or the tenant's."""

    role: str
    name: str
    handle: str
    shop: str = ""
    locale: str = "en"


@dataclass(frozen=True, slots=True)
class Community:
    """A tenant of the demo; `scale` turns the shops' bills into its currency."""

    slug: str
    name: str
    currency: str
    timezone: str
    locales: tuple[str, ...]
    brand: dict[str, object]
    members: int
    russian: float
    scale: float
    step: int
    phone_prefix: str
    thresholds: tuple[int, int, int, int]
    shops: tuple[Shop, ...]
    people: tuple[Person, ...]


CAFE = Shop(
    "cafe",
    "Пар",
    "cafe",
    "Садовая, 4",
    "Filter coffee, porridge and a long table.",
    "Фильтр-кофе, каша и длинный стол.",
    9,
    420,
    0.4,
    OFFICE,
    MORNING,
    confirmation="none",
)
BARBER = Shop(
    "barber",
    "Бритва",
    "beauty",
    "Садовая, 11",
    "Cuts and shaves, no appointment.",
    "Стрижка и бритьё без записи.",
    0.9,
    1600,
    0.25,
    EVEN,
    ALL_DAY,
)
BOOKS = Shop(
    "books",
    "Полка",
    "books",
    "Мира, 2",
    "A small bookshop with a large children's corner.",
    "Небольшой книжный с большой детской.",
    1.3,
    1150,
    0.55,
    WEEKEND,
    ALL_DAY,
    WINTER,
)
YOGA = Shop(
    "yoga",
    "Вдох",
    "sport",
    "Мира, 9",
    "Yoga in the morning and after work.",
    "Йога утром и после работы.",
    3.2,
    900,
    0.2,
    OFFICE,
    {7: 3, 8: 3, 9: 1, 18: 4, 19: 5, 20: 3},
    WINTER,
)
BAKERY = Shop(
    "bakery",
    "Зерно",
    "bakery",
    "Садовая, 6",
    "Bread from five in the morning.",
    "Хлеб с пяти утра.",
    7,
    380,
    0.45,
    WEEKEND,
    MORNING,
    confirmation="none",
)
CINEMA = Shop(
    "cinema",
    "Иллюзион",
    "cinema",
    "Площадь, 1",
    "One screen, two films an evening.",
    "Один зал, два фильма за вечер.",
    1.6,
    800,
    0.35,
    WEEKEND,
    EVENING,
    WINTER,
    confirmation="code",
)
NOODLES = Shop(
    "noodles", "Лапша 88", "cafe", "Abay 10", "Hand-pulled noodles.", "Тянутая лапша.", 5, 420, 0.3, EVEN, EVENING
)
TEA = Shop(
    "tea", "Чайный двор", "cafe", "Abay 14", "Tea by the pot.", "Чай чайниками.", 4, 350, 0.35, WEEKEND, ALL_DAY, WINTER
)
SPA = Shop(
    "spa", "Онсэн", "beauty", "Dostyk 5", "Baths and quiet.", "Бани и тишина.", 1, 1900, 0.3, WEEKEND, EVENING, WINTER
)
COURSES = Shop(
    "courses",
    "Workshop",
    "education",
    "Elizabetes 20",
    "Clay, bread, code and money.",
    "Глина, хлеб, код и деньги.",
    1.2,
    3800,
    0.3,
    WEEKEND,
    EVENING,
    WINTER,
)
CANTEEN = Shop(
    "canteen",
    "Canteen",
    "cafe",
    "Elizabetes 20",
    "Lunch between lessons.",
    "Обед между занятиями.",
    6,
    750,
    0.25,
    OFFICE,
    {11: 1, 12: 5, 13: 6, 14: 3},
)

COMMUNITIES = (
    Community(
        "krug",
        "Круг",
        "RUB",
        "Europe/Moscow",
        ("ru", "en"),
        {"hue": 37, "chroma": 0.145, "lightness": 51.5, "mark": "ring"},
        400,
        0.85,
        1,
        10,
        "+7912",
        (0, 1_500_000, 5_000_000, 12_000_000),
        (CAFE, BARBER, BOOKS, YOGA, BAKERY, CINEMA),
        (
            Person("member", "Алиса Морозова", "alice", locale="ru"),
            Person("cashier", "Борис Петров", "boris", "bakery", "ru"),
            Person("manager", "Карина Орлова", "karina", "bakery", "ru"),
            Person("owner", "Ирина Зотова", "irina", "bakery", "ru"),
            Person("editor", "Ed Lebedev", "ed"),
            Person("support", "Sofia Karpova", "sofia"),
            Person("finance", "Фёдор Сомов", "fedor", locale="ru"),
            Person("admin", "Ольга Климова", "olga", locale="ru"),
        ),
    ),
    Community(
        "asia",
        "Азия",
        "KZT",
        "Asia/Almaty",
        ("ru", "en"),
        {"hue": 222, "chroma": 0.085, "lightness": 44, "mark": "waves"},
        70,
        0.6,
        6,
        50,
        "+7701",
        (0, 9_000_000, 30_000_000, 70_000_000),
        (NOODLES, TEA, SPA),
        (
            Person("member", "Aigul Kassym", "aigul"),
            Person("cashier", "Daniyar Omar", "daniyar", "noodles"),
            Person("owner", "Rustam Abay", "rustam", "noodles"),
            Person("admin", "Madina Seit", "madina"),
        ),
    ),
    Community(
        "academy",
        "Academy",
        "EUR",
        "Europe/Riga",
        ("en", "ru"),
        {"hue": 150, "chroma": 0.1, "lightness": 45, "mark": "ring"},
        50,
        0.2,
        0.01,
        1,
        "+3712",
        (0, 15_000, 50_000, 120_000),
        (COURSES, CANTEEN),
        (
            Person("member", "Anna Ozola", "anna"),
            Person("cashier", "Peteris Kalns", "peteris", "canteen"),
            Person("owner", "Laura Berzina", "laura", "courses"),
            Person("admin", "Janis Liepa", "janis"),
        ),
    ),
)
OPERATOR = ("operator@krug.example", "Olaf Operator")
BUSINESS_ROLES = ("cashier", "manager", "owner")
TENANT_ROLES = ("editor", "support", "finance", "admin")
