"""A test client that checks every page it is shown (style.md 18): title, one h1, unique ids, labelled fields, targets."""

import re
from html.parser import HTMLParser

from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from tinyhtml5 import inputstream
from tinyhtml5 import parser as html5

VOID_OF_LABEL = {"hidden", "submit", "button", "image", "reset"}
# What is no part of a page's build: words (unless only spaces), values, escaped signs. What parses once parses with others.
WORDS = re.compile(r"(?<=>)(\s*)[^\s<>&][^<>&]*(?=<)")
VALUES = re.compile(r'(?<==")[^"<>&]*(?=")')
ESCAPED = re.compile(r"&(?:amp|lt|gt|quot|#3[49]);")
_valid = set()  # builds of pages that were found valid in this run


class _Expressions(dict):
    """tinyhtml5 2.1 keeps its expressions under a key it never asks for, and would compile them for each word."""

    def __missing__(self, asked):
        characters, opposite = asked
        self[asked] = made = re.compile(f"[{'' if opposite else '^'}{re.escape(''.join(characters))}]+")
        return made


inputstream.characters_until_regex = _Expressions()


class Outline(HTMLParser):
    """What the checks need to know of a page."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.ids, self.labels, self.fields, self.targets, self.h1, self.titles = [], set(), [], [], 0, 0
        self.inline, self.forms, self._form, self._label_depth = [], [], None, 0
        self.feed(text)

    def handle_starttag(self, tag, pairs):
        a = dict(pairs)
        if "id" in a:
            self.ids.append(a["id"])
        self.inline += [name for name in a if name == "style" or name.startswith("on")]
        self.h1 += tag == "h1"
        self.titles += tag == "title"
        if tag == "label":
            self._label_depth += 1
            self.labels.add(a.get("for"))
        if tag in {"input", "select", "textarea"}:
            if a.get("type") not in VOID_OF_LABEL:
                named = a.get("aria-label") or a.get("aria-labelledby") or self._label_depth
                self.fields.append((a.get("id"), a.get("name"), bool(named)))
            if self._form is not None and a.get("name"):
                ticked = a.get("type") not in {"checkbox", "radio"} or "checked" in a
                if ticked and a.get("type") not in {"submit", "image", "file"}:
                    self._form["fields"].append((a["name"], a.get("value", "")))
        if tag == "form":
            self._form = {
                "action": a.get("action", ""),
                "method": a.get("method", "get"),
                "id": a.get("id"),
                "fields": [],
            }
            self.forms.append(self._form)
        for name in ("hx-target", "hx-target:inherited"):
            if a.get(name, "").startswith("#"):
                self.targets.append(a[name][1:])

    def handle_endtag(self, tag):
        if tag == "label":
            self._label_depth -= 1
        if tag == "form":
            self._form = None


def _errors(text):
    build = hash(VALUES.sub("", WORDS.sub("x", ESCAPED.sub("x", text))))
    if build in _valid and not inputstream.invalid_unicode_re.search(text):
        return []
    reader = html5.HTMLParser()
    reader.parse(text)
    errors = [e for e in reader.errors if "doctype" not in str(e)]
    if not errors:
        _valid.add(build)
    return errors


def check(text, url, *, whole):
    """Raise AssertionError with the page's address and what is wrong with it."""
    outline = Outline(text)
    wrong = []
    doubled = {i for i in outline.ids if outline.ids.count(i) > 1}
    if doubled:
        wrong.append(f"ids used twice: {doubled}")
    if outline.inline:
        wrong.append(f"inline handlers or styles: {set(outline.inline)}")
    for field_id, name, named in outline.fields:
        if not named and field_id not in outline.labels:
            wrong.append(f"field {name or field_id} has no label")
    if whole:
        if errors := _errors(text):
            wrong.append(f"not valid HTML: {errors[:3]}")
        if outline.titles < 1:
            wrong.append("no title")
        if outline.h1 != 1:
            wrong.append(f"{outline.h1} h1")
        missing = [t for t in outline.targets if t not in outline.ids]
        if missing:
            wrong.append(f"hx-target without an element: {missing}")
    assert not wrong, f"{url}: {'; '.join(wrong)}"
    return outline


class CheckedClient(FlaskClient):
    """A browser of one host. POSTs carry the session's CSRF token unless `csrf=False`; `submit` fills a page's form."""

    def __init__(self, app, *, host, csrf=None):
        super().__init__(app, app.response_class, use_cookies=True)
        self.host, self.csrf = host, csrf

    def open(self, *args, csrf=True, **kwargs):
        kwargs.setdefault("base_url", f"http://{self.host}:8000")
        if csrf and self.csrf and kwargs.get("method", "GET") not in {"GET", "HEAD"}:
            headers = dict(kwargs.pop("headers", None) or {})
            headers.setdefault("X-CSRFToken", self._signed())
            kwargs["headers"] = headers
        response = super().open(*args, **kwargs)
        if response.mimetype == "text/html" and response.status_code not in {301, 302, 303, 307, 308}:
            text = response.get_data(as_text=True)
            if text.strip():
                check(
                    text,
                    f"{kwargs.get('method', 'GET')} {args[0] if args else kwargs.get('path')}",
                    whole="<html" in text,
                )
        return response

    def _signed(self):
        secret = self.application.config["SECRET_KEY"]
        return URLSafeTimedSerializer(secret, salt="wtf-csrf-token").dumps(self.csrf)

    def submit(self, url, form=None, *, follow_redirects=False, htmx=False, **fields):
        """Open the page, fill the form (by id or position) with `fields`, send it as a browser would."""
        page = self.get(url)
        assert page.status_code == 200, f"{url}: {page.status_code}"
        forms = [f for f in Outline(page.get_data(as_text=True)).forms if f["method"].lower() == "post"]
        chosen = [f for f in forms if form is None or f["id"] == form]
        assert chosen, f"{url} has no form {form}: {[f['id'] for f in forms]}"
        data = {}
        for name, value in chosen[0]["fields"]:
            data.setdefault(name, value)
        data.update(fields)
        headers = {"HX-Request": "true"} if htmx else {}
        return self.post(
            chosen[0]["action"] or url, data=data, csrf=False, headers=headers, follow_redirects=follow_redirects
        )
