"""The tenant's own logo and icon: what is taken, where it is shown, how long it lasts (B9)."""

import re
from io import BytesIO

import pytest
from PIL import Image

from tests.cast import ALICE, CIRCLE, GLOBEX, MALLORY, OLGA

PAGE = "/admin/settings/brand"
PLACE = 0x8825  # EXIF: where a picture was taken


def picture(size=(900, 300), colour=(200, 30, 30, 255), kind="PNG", **options):
    """A file with a picture of one colour; its first column is clear where the colour has alpha."""
    image = Image.new("RGBA", size, colour)
    if kind == "PNG":
        image.paste((0, 0, 0, 0), (0, 0, size[0] // 10, size[1]))
    else:
        image = image.convert("RGB")
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def send(browser, data, which="logo", name="logo.png"):
    return browser.post(f"{PAGE}/picture", data={"which": which, "picture": (BytesIO(data), name)})


def logo_on(browser, page="/login"):
    found = re.search(r'<img class="brand-logo[^"]*" src="([^"]+)"', browser.get(page).text)
    return found and found[1]


def opened(answer):
    return Image.open(BytesIO(answer.data))


def test_the_logo_is_shown_everywhere_and_kept_for_a_year(sign_in, visitor, acting):
    """At the door, on a member's pages, on error pages, at the head of mails, on the home screen."""
    from portal.messages import letter
    from portal.messages.texts import Text
    from portal.tenants import hosts

    olga, guest, alice = sign_in(OLGA), visitor(), sign_in(ALICE)
    icon_before = re.search(r'rel="icon" href="([^"]+)"', guest.get("/login").text)[1]
    before = guest.get(icon_before).data
    assert send(olga, picture()).status_code == 303
    address = logo_on(guest)
    for browser, page in ((alice, "/me"), (guest, "/nothing-here"), (olga, PAGE)):
        assert logo_on(browser, page) == address
    answer = guest.get(address)
    assert "max-age=31536000" in answer.headers["Cache-Control"]
    assert "immutable" in answer.headers["Cache-Control"]
    assert (answer.mimetype, opened(answer).size) == ("image/png", (480, 160))
    icon = re.search(r'rel="icon" href="([^"]+)"', guest.get("/login").text)[1]
    assert icon != icon_before
    assert guest.get(icon).data != before
    assert guest.get(icon_before).status_code == 404
    manifest = guest.get("/manifest.webmanifest").get_json()
    for one in manifest["icons"]:
        assert opened(guest.get(one["src"])).size == tuple(map(int, one["sizes"].split("x")))
    with acting(CIRCLE):
        from flask import g

        g.tenant = hosts.tenant_by_id(CIRCLE.id)
        mail = letter.write(Text("T", "B", "/me", "bell"), to=letter.address("a@b.example"), locale="en", why="w")
        assert g.tenant.base_url + address in mail.get_body("html").get_content()


def test_it_is_replaced_removed_and_survives_a_new_colour(sign_in, visitor):
    """An address names one picture for ever: mails that were sent still show the old one."""
    olga, guest = sign_in(OLGA), visitor()
    send(olga, picture())
    first = logo_on(guest)
    olga.submit(PAGE, form="brand-form", hue="264", chroma="0.16", lightness="45", mark="waves")
    assert logo_on(guest) == first
    send(olga, picture(colour=(0, 90, 0, 255)))
    second = logo_on(guest)
    assert second != first
    assert guest.get(first).status_code == guest.get(second).status_code == 200
    assert olga.post(f"{PAGE}/picture", data={"which": "logo", "remove": "1"}).status_code == 303
    assert logo_on(guest) is None
    assert guest.get(second).status_code == 200


def test_an_icon_of_its_own_goes_before_the_logo_on_the_home_screen(sign_in, visitor):
    olga, guest = sign_in(OLGA), visitor()
    send(olga, picture())
    send(olga, picture((300, 300), (10, 20, 200, 255), "JPEG"), "icon", "icon.jpg")
    big = next(i for i in guest.get("/manifest.webmanifest").get_json()["icons"] if i["sizes"] == "512x512")
    shown = opened(guest.get(big["src"])).convert("RGB")
    assert shown.getpixel((256, 256))[2] > 150
    assert logo_on(guest)


def test_nothing_but_pixels_survives(sign_in, visitor):
    """B9: the file is drawn anew; place and camera are gone."""
    exif = Image.Exif()
    exif[PLACE] = {1: "N"}
    exif[0x010F] = "Camera of Anna"
    sent = picture((400, 400), kind="JPEG", exif=exif)
    assert b"Camera of Anna" in sent
    send(sign_in(OLGA), sent)
    guest = visitor()
    kept = guest.get(logo_on(guest))
    assert b"Camera" not in kept.data
    assert not opened(kept).getexif()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "SVG is not taken"),
        (b'<?xml version="1.0"?><svg/>', "SVG is not taken"),
        (b"<!doctype html><script>alert(1)</script>", "Send a picture"),
        (b"%PDF-1.7", "Send a picture"),
        (b"\x89PNG\r\n\x1a\n nothing more", "cannot be read"),
        (b"", "empty"),
        (picture((8000, 5001), kind="PNG"), "too many pixels"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(sign_in, visitor, data, said):
    """B9: told by its bytes, whatever it is called."""
    answer = send(sign_in(OLGA), data)
    assert answer.status_code == 422
    assert said in answer.text
    assert logo_on(visitor()) is None


def test_without_a_file_one_is_asked_for(sign_in):
    answer = sign_in(OLGA).post(f"{PAGE}/picture", data={"which": "logo"})
    assert answer.status_code == 422
    assert "Choose a picture first." in answer.text


def test_another_tenant_neither_shows_nor_opens_it(sign_in, visitor):
    send(sign_in(OLGA), picture())
    address = logo_on(visitor())
    stranger = visitor(GLOBEX)
    assert logo_on(stranger) is None
    assert stranger.get(address).status_code == 404
    assert visitor().get(address.rpartition("/")[0] + "/0000000000000000.png").status_code == 404
    assert sign_in(MALLORY).get(PAGE).status_code == 200


def test_it_outlives_the_admin_who_sent_it(sign_in, acting, visitor):
    """The file is the community's: it is nobody's own, so erasing its sender leaves it (AUD-3)."""
    from sqlalchemy import select

    from portal.extensions import db
    from portal.files.models import StoredFile

    send(sign_in(OLGA), picture())
    with acting(CIRCLE):
        row = db.session.scalars(select(StoredFile).where(StoredFile.purpose == "brand")).one()
        assert (row.owner_id, row.expires_at) == (None, None)


@pytest.mark.parametrize(("ink", "plate"), [((255, 255, 255, 255), "dark"), ((10, 10, 60, 255), "light")])
def test_light_ink_gets_a_dark_plate(sign_in, visitor, ink, plate):
    send(sign_in(OLGA), picture(colour=ink))
    assert f"plate-{plate}" in visitor().get("/login").text
