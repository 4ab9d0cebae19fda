"""wapiti over a running demo, signed in as each kind of person: `python -m tests.load.scan WAPITI [DEMO.JSON] [SECONDS]`.

Run by hand, since wapiti wants an environment of its own: `python3 -m venv /tmp/wapiti && /tmp/wapiti/bin/pip install
wapiti3==3.2.3`, `make demo`, then `python -m tests.load.scan /tmp/wapiti/bin/wapiti`. SECONDS (60) is how long each kind of attack
may take a person. Prints a table of what was crawled and found; exit 1 when anything is of level 2 (medium) or more.
"""

import http.client
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlencode

START = {
    "member": "/me",
    "cashier": "/till",
    "owner": "/desk",
    "admin": "/admin",
    "visitor": "/",
}  # the admin late: crawling sends forms
MODULES = "csrf,exec,file,sql,xss,redirect,crlf,xxe,upload,log4shell,htaccess,methods,http_headers,cookieflags,csp,permanentxss,timesql"
ENDS = (
    "/logout",
    "/me/security/revocations*",
    "/me/security/sessions/*",
    "/me/data/leave*",
    "/language*",
    "/theme*",
    "/static/*",
)
MEDIUM = 2


def main(wapiti: str, demo: str = "var/demo.json", seconds: str = "60") -> int:
    """Scan as everybody of `START`."""
    told = json.loads(Path(demo).read_text())
    people = {one["role"]: one for one in told["tenants"][0]["people"]}
    base, worst = told["base_url"], 0
    print("| | crawled | requests attacked | findings (level 0 to 4) |\n|---|---:|---:|---|", flush=True)
    for role, start in START.items():
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            command = [
                wapiti,
                "-u",
                f"{base}/",
                "-s",
                base + start,
                "--scope",
                "folder",
                "-m",
                MODULES,
                "-d",
                "6",
                "-S",
                "polite",
            ]
            command += [
                "--max-links-per-page",
                "60",
                "--max-files-per-dir",
                "15",
                "--max-parameters",
                "30",
                "-t",
                "20",
                "-v",
                "0",
            ]
            command += [
                "--max-scan-time",
                str(8 * int(seconds)),
                "--max-attack-time",
                seconds,
                "--no-bugreport",
                "--flush-session",
            ]
            command += ["--store-session", folder, "-f", "json", "-o", str(report)]
            for path in ENDS:
                command += ["-x", base + path]
            if role in people:
                command += ["-C", signed_in(base, people[role])]
            ended = subprocess.run(command, check=False, capture_output=True, text=True)
            if not report.exists():
                raise SystemExit(f"wapiti broke off as {role}:\n{ended.stdout[-2_000:]}{ended.stderr[-2_000:]}")
            found = json.loads(report.read_text())
        lines = [
            f"{kind} ({one['level']}): {one['info']} {one['method']} {one['path']} {one.get('parameter') or ''}"
            for kind, ones in {**found["vulnerabilities"], **found["anomalies"]}.items()
            for one in ones
        ]
        levels = [
            one["level"] for ones in (*found["vulnerabilities"].values(), *found["anomalies"].values()) for one in ones
        ]
        worst = max([worst, *levels])
        print(
            f"| {role} | {found['infos']['crawled_pages_nbr']} | {MODULES.count(',') + 1} kinds | {len(lines)} |",
            flush=True,
        )
        print("\n".join(f"  {line}"[:400] for line in lines), flush=True)
    return int(worst >= MEDIUM)


def signed_in(base: str, person: dict[str, str]) -> str:
    """The cookies of a browser after this person's password."""
    host, jar = base.removeprefix("http://"), dict[str, str]()

    def call(method: str, body: str | None = None) -> str:
        connection = http.client.HTTPConnection(host, timeout=60)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())}
        headers |= {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        connection.request(method, "/login", body, headers)
        answer = connection.getresponse()
        for cookie in answer.headers.get_all("Set-Cookie") or ():
            name, _, value = cookie.partition(";")[0].partition("=")
            jar[name] = value
        page = answer.read().decode()
        if body and answer.status != 303:
            raise SystemExit(f"{person['email']} is not let in: {answer.status}")
        return page

    page = call("GET")
    form = page[page.index('id="sign-in"') :]
    tags = re.findall(r"<input[^>]*>", form[: form.index("</form>")])
    names = {tag: re.search(r'name="([^"]*)"', tag) for tag in tags}
    fields = {
        name[1]: (value[1] if (value := re.search(r'value="([^"]*)"', tag)) else "")
        for tag, name in names.items()
        if name
    }
    call("POST", urlencode(fields | {"email": person["email"], "password": person["password"]}))
    return "; ".join(f"{name}={value}" for name, value in jar.items())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
