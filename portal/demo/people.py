"""Names of the demo world. Invented; any likeness is the law of large numbers."""

import random
from dataclasses import dataclass

RU = (
    [
        "Алиса",
        "Егор",
        "Марина",
        "Тимур",
        "Ольга",
        "Павел",
        "Ирина",
        "Денис",
        "Вера",
        "Олег",
        "Настя",
        "Кирилл",
        "Дарья",
        "Роман",
        "Лев",
        "Софья",
        "Глеб",
        "Майя",
        "Юрий",
        "Нина",
        "Артём",
        "Полина",
        "Семён",
        "Зоя",
        "Фёдор",
        "Лидия",
        "Илья",
        "Ксения",
        "Борис",
        "Тамара",
    ],
    [
        "Морозов",
        "Орлов",
        "Зотов",
        "Климов",
        "Лебедев",
        "Карпов",
        "Соколов",
        "Беляев",
        "Громов",
        "Воронов",
        "Титов",
        "Крылов",
        "Назаров",
        "Ершов",
        "Гусев",
        "Панов",
        "Сомов",
        "Рыбин",
        "Чернов",
        "Фомин",
        "Жуков",
        "Давыдов",
        "Тихонов",
        "Котов",
        "Савин",
        "Юдин",
        "Быков",
        "Маслов",
        "Шубин",
        "Лаптев",
    ],
)
EN = (
    [
        "Alice",
        "Ethan",
        "Maria",
        "Tim",
        "Olivia",
        "Paul",
        "Irene",
        "Dennis",
        "Vera",
        "Oliver",
        "Nancy",
        "Cyril",
        "Daria",
        "Roman",
        "Leo",
        "Sophie",
        "Grace",
        "Maya",
        "George",
        "Nina",
    ],
    [
        "Morris",
        "Orchard",
        "Walker",
        "Clement",
        "Swan",
        "Carp",
        "Falcon",
        "White",
        "Thunder",
        "Raven",
        "Title",
        "Wing",
        "Nazar",
        "Ruff",
        "Goose",
        "Pan",
        "Catfish",
        "Fisher",
        "Black",
        "Owl",
    ],
)
FEMALE = {
    "Алиса",
    "Марина",
    "Ольга",
    "Ирина",
    "Вера",
    "Настя",
    "Дарья",
    "Софья",
    "Майя",
    "Нина",
    "Полина",
    "Зоя",
    "Лидия",
    "Ксения",
    "Тамара",
}
LATIN = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
        [
            "a",
            "b",
            "v",
            "g",
            "d",
            "e",
            "e",
            "zh",
            "z",
            "i",
            "y",
            "k",
            "l",
            "m",
            "n",
            "o",
            "p",
            "r",
            "s",
            "t",
            "u",
            "f",
            "kh",
            "ts",
            "ch",
            "sh",
            "sch",
            "",
            "y",
            "",
            "e",
            "yu",
            "ya",
        ],
        strict=False,
    )
)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A member to be: how to reach them and what they carry."""

    name: str
    email: str
    phone: str
    locale: str


def neighbour(n: int, rng: random.Random, *, domain: str, phone_prefix: str, russian: float) -> Neighbour:
    """The n-th inhabitant; the same seed makes the same people."""
    locale = "ru" if rng.random() < russian else "en"
    first, last = (rng.choice(part) for part in (RU if locale == "ru" else EN))
    if first in FEMALE:
        last += "а"
    handle = ".".join("".join(LATIN.get(c, c) for c in word.casefold()) for word in (first, last))
    return Neighbour(f"{first} {last}", f"{handle}.{n}@{domain}", f"{phone_prefix}{n:07d}", locale)
