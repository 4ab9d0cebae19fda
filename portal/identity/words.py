"""The words by whose beginning a member is found (D6). Kept in `member_words`, one row a word."""

import re
import unicodedata

from portal.identity import contacts

DOT_ABOVE = "\u0307"  # what casefold leaves of the Turkish capital İ
LONGEST, MOST = 64, 12
SHORT, TAIL = 7, 4  # last digits by which people name a card or a telephone


def folded(text: str) -> str:
    """The text as it is compared and sorted: NFKC, casefold, ё as е, nothing invisible."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    visible = "".join(c for c in plain if c.isspace() or unicodedata.category(c) not in contacts.INVISIBLE)
    return " ".join(visible.replace(DOT_ABOVE, "").replace("ё", "е").split())


def of_member(name: str, card: str, phone: str | None, email: str | None) -> set[str]:
    """Every word that finds this member: parts of the name, the mail, the card and the telephone with their ends."""
    found = set(_parts(folded(name))[:MOST])
    found |= {card, card[-SHORT:], card[-TAIL:]}
    if email:
        found.add(folded(email))
    if phone:
        digits, inside = phone.lstrip("+"), contacts.national(phone)
        found |= {digits, inside, inside[-SHORT:], inside[-TAIL:]}
    return {word[:LONGEST] for word in found if word}


def of_query(text: str) -> list[str]:
    """The words that a search asks for; a number typed in groups is one word. Empty for an empty search."""
    plain = folded(text)
    digits = re.sub(r"\D", "", plain)
    if digits and not re.search(r"[^\d\s().+\-–/]", plain):
        return [digits[:LONGEST]]
    return [word[:LONGEST] for word in _parts(plain)][:MOST]


def spellings(word: str) -> list[str]:
    """A number may begin with the country's trunk prefix, which no stored word has."""
    prefix = contacts.trunk_prefix()
    if word.isdigit() and prefix and word.startswith(prefix) and len(word) > TAIL:
        return [word, word.removeprefix(prefix)]
    return [word]


def _parts(plain: str) -> list[str]:
    parts: list[str] = []
    for word in plain.split():
        if "@" in word:
            parts.append(word)
            continue
        split = [part for part in re.split(r"[^\w+]+", word) if part]
        parts += split
    return list(dict.fromkeys(parts))
