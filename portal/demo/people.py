"""Names of the demo world. Invented; any likeness is the law of large numbers."""

import random
from dataclasses import dataclass


def _words(text: str) -> list[str]:
    return text.split()


RU_FIRST = _words(
    "Алиса Егор Марина Тимур Ольга Павел Ирина Денис Вера Олег Настя Кирилл Дарья Роман Лев Софья Глеб Майя Юрий Нина"
    " Артём Полина Семён Зоя Фёдор Лидия Илья Ксения Борис Тамара"
)
RU_LAST = _words(
    "Морозов Орлов Зотов Климов Лебедев Карпов Соколов Беляев Громов Воронов Титов Крылов Назаров Ершов Гусев Панов Сомов"
    " Рыбин Чернов Фомин Жуков Давыдов Тихонов Котов Савин Юдин Быков Маслов Шубин Лаптев"
)
EN_FIRST = _words(
    "Alice Ethan Maria Tim Olivia Paul Irene Dennis Vera Oliver Nancy Cyril Daria Roman Leo Sophie Grace Maya George Nina"
)
EN_LAST = _words(
    "Morris Orchard Walker Clement Swan Carp Falcon White Thunder Raven Title Wing Nazar Ruff Goose Pan Fisher Black Owl"
)
FEMALE = set(_words("Алиса Марина Ольга Ирина Вера Настя Дарья Софья Майя Нина Полина Зоя Лидия Ксения Тамара"))
CYRILLIC = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"
LATIN = dict(
    zip(
        CYRILLIC,
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
        strict=True,
    )
)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A member to be: how to reach them."""

    name: str
    email: str
    phone: str
    locale: str


def neighbour(n: int, rng: random.Random, *, domain: str, phone_prefix: str, russian: float) -> Neighbour:
    """The n-th inhabitant; the same seed makes the same people."""
    if rng.random() < russian:
        locale, first, last = "ru", rng.choice(RU_FIRST), rng.choice(RU_LAST)
        last += "а" if first in FEMALE else ""
    else:
        locale, first, last = "en", rng.choice(EN_FIRST), rng.choice(EN_LAST)
    handle = ".".join("".join(LATIN.get(c, c) for c in word.casefold()) for word in (first, last))
    return Neighbour(
        f"{first} {last}", f"{handle}.{n}@{domain}", f"{phone_prefix}{n:0{12 - len(phone_prefix)}d}", locale
    )
