"""`/api/v1/openapi.json` and a page that people read; both are made from the code."""

import json
from typing import Any

from flask import Response, abort, current_app, g, jsonify, redirect, request, url_for

from portal.api import problems, sandbox
from portal.api.codes import codes
from portal.api.words import _, shown
from portal.kernel.authz import PUBLIC, PortalBlueprint
from portal.partners.keys import own_prefix
from portal.settings import settings
from portal.web.fragments import render

SECURITY: dict[str, Any] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "krug_live_… or krug_test_…",
        "description": "A key of your business, made at the desk under “API keys”.",
    }
}
INTRO = (
    "Sales are sent to the host of the community whose key it is. Amounts are decimal strings with their currency beside"
    " them; moments are RFC 3339. Errors are problem documents (RFC 9457) with a stable `code`."
)
PROBLEM_TEXTS = {
    "400": _("The body is no JSON, or a key stands in the address"),
    "401": _("No key, or one that does not hold on this host"),
    "403": _("The key lacks the scope"),
    "404": _("There is nothing here for this key"),
    "409": _("The same key or external_id came with another content, or the state does not allow it"),
    "413": _("The body is too large"),
    "415": _("The body is not application/json"),
    "422": _("Some fields cannot be taken"),
    "429": _("Too many calls; see Retry-After"),
    "503": _("Busy or restarting; repeat with the same Idempotency-Key"),
}
TAKEN_TEXTS = {"200": _("It is as the answer says"), "201": _("It is recorded")}
REPLAYED = _("The stored answer of the first call, with Idempotent-Replayed: true")
TOO_LONG = _("The address is longer than 8,190 characters")
LIMITS = {
    "X-RateLimit-Limit": "How many calls the key may make in the window that is nearest to its end.",
    "X-RateLimit-Remaining": "How many of them are left.",
    "X-RateLimit-Reset": "When the window begins anew, in seconds since 1970.",
}
RETRY = {"Retry-After": {"description": "Seconds until the next call.", "schema": {"type": "integer"}}}
ID_OF_ANSWER = {"create_purchase": "id", "purchase": "id", "create_refund": "purchase_id"}
READING = ("401", "403", "404", "422", "429", "503")
PROBLEM = {"$ref": "#/components/schemas/Problem"}
pages = PortalBlueprint("api_docs", __name__, room="public")


def init_app(app: Any) -> None:
    """Add the description and its page."""
    app.info.title, app.info.version, app.info.description = "Krug API", "1", INTRO
    app.register_blueprint(pages)


@pages.route("/api/v1/openapi.json", permission=PUBLIC)
def openapi() -> Response:
    """OpenAPI 3.1, for this host."""
    return jsonify(spec())


@pages.route("/api/v1/docs", permission=PUBLIC)
def docs() -> Any:
    """The same for people, with examples that run."""
    return render(
        "api/docs.html",
        groups=groups(),
        codes=codes(),
        base=_base(),
        prefix=own_prefix(),
        sandbox=sandbox.url(),
        rate=settings().API_RATE,
    )


@pages.route("/problems/<problem>", permission=PUBLIC)
def problem_type(problem: str) -> Any:
    """Where the `type` of a problem leads: its line on the page."""
    if problem not in {known.code for known in codes()}:
        abort(404)
    return redirect(f"{url_for('api_docs.docs')}#{problem}")


def spec() -> dict[str, Any]:
    """The description: every error of every operation is a problem document."""
    app: Any = current_app
    made: dict[str, Any] = json.loads(json.dumps(app.api_doc))
    made["servers"] = [{"url": _base()}]
    schemas = made["components"]["schemas"]
    schemas["Problem"], schemas["FieldError"] = _schema(problems.Problem), _schema(problems.FieldError)
    for operations in made["paths"].values():
        for method, operation in operations.items():
            for status in TAKEN_TEXTS.keys() & operation["responses"].keys():
                operation["responses"][status]["description"] = TAKEN_TEXTS[status]
            for status, text in PROBLEM_TEXTS.items():
                if method == "get" and status not in READING:
                    continue
                operation["responses"][status] = {
                    "description": text,
                    "content": {"application/problem+json": {"schema": PROBLEM}},
                }
            if any(given["in"] == "query" for given in operation.get("parameters", [])):
                operation["responses"]["414"] = {"description": TOO_LONG}
            _link(operation)
            for status, answer in operation["responses"].items():
                if status not in {"401", "414", "503"}:
                    answer["headers"] = {name: _integer(text) for name, text in LIMITS.items()}
                if status in {"429", "503"}:
                    answer.setdefault("headers", {}).update(RETRY)
            if "200" in operation["responses"] and "201" in operation["responses"]:
                operation["responses"]["200"]["description"] = REPLAYED
                operation["responses"]["200"]["headers"]["Idempotent-Replayed"] = {
                    "schema": {"type": "string", "enum": ["true"]}
                }
    return made


def _integer(text: str) -> dict[str, Any]:
    return {"description": text, "schema": {"type": "integer"}}


def _link(operation: dict[str, Any]) -> None:
    """What an answer leads to: the purchase, its refunds, its member, the page after."""
    name = operation["operationId"]
    for status in ("200", "201"):
        answer = operation["responses"].get(status)
        if answer is None:
            continue
        links: dict[str, Any] = {}
        if name in ID_OF_ANSWER:
            which = {"purchase_id": f"$response.body#/{ID_OF_ANSWER[name]}"}
            links["read"] = {"operationId": "purchase", "parameters": which}
            links["refund"] = {"operationId": "create_refund", "parameters": which}
        if name in {"create_purchase", "purchase"}:
            who = {"card_or_phone": "$response.body#/member_id"}
            links["member"] = {"operationId": "member", "parameters": who}
            links["of_member"] = {"operationId": "purchases", "parameters": {"member": "$response.body#/member_id"}}
        if name == "purchases":
            links["next"] = {"operationId": "purchases", "parameters": {"cursor": "$response.body#/next"}}
        if links:
            answer["links"] = links


def _schema(model: Any) -> dict[str, Any]:
    found = model.model_json_schema(ref_template="#/components/schemas/{model}")
    found.pop("$defs", None)
    return found


def groups() -> dict[str, list[dict[str, Any]]]:
    """The operations by what they are about, in the order of the code, with their fields and examples to copy, in the reader's
    language.
    """
    made = spec()
    found: dict[str, list[dict[str, Any]]] = {}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            schema = _resolved(made, body)
            found.setdefault(shown(operation["tags"][0]), []).append(
                {
                    "id": operation["operationId"].replace("_", "-"),
                    "method": method.upper(),
                    "path": path,
                    "summary": shown(operation["summary"]),
                    "paragraphs": shown(operation["description"]).split("\n\n"),
                    "parameters": [
                        {**given, "description": shown(given.get("description", ""))}
                        for given in operation.get("parameters", [])
                    ],
                    "fields": _fields(made, schema),
                    "answers": [(s, shown(r["description"])) for s, r in sorted(operation["responses"].items())],
                    "curl": _curl(method, path, schema.get("example")),
                    "python": _python(method, path, schema.get("example")),
                }
            )
    return found


def _resolved(made: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return made["components"]["schemas"].get(name, {}) if name else schema


def _fields(made: dict[str, Any], schema: dict[str, Any], prefix: str = "") -> list[dict[str, Any]]:
    rows = []
    for name, field in schema.get("properties", {}).items():
        variants = [v for v in field.get("anyOf", [field]) if v.get("type") != "null"]
        first = variants[0] if variants else field
        rows.append(
            {
                "name": prefix + name,
                "type": first.get("format") or first.get("type") or "object",
                "required": name in schema.get("required", []),
                "text": shown(field.get("description", "")),
            }
        )
        if first.get("type") == "array":
            rows += _fields(made, _resolved(made, first.get("items", {})), f"{prefix}{name}[].")
    return rows


def _address(path: str) -> str:
    return _base() + path.replace("{card_or_phone}", "500000001015")


def _example(example: Any) -> Any:
    if example and "currency" in example and g.get("tenant"):
        return {**example, "currency": g.tenant.currency}
    return example


def _curl(method: str, path: str, example: Any) -> str:
    address = _address(path).replace("{purchase_id}", "$PURCHASE_ID")
    lines = [f'curl "{address}"', '  -H "Authorization: Bearer $KRUG_KEY"']
    if method == "post":
        lines += [
            '  -H "Content-Type: application/json"',
            f'  -H "Idempotency-Key: {example["external_id"]}"',
            f"  -d '{json.dumps(_example(example))}'",
        ]
    return " \\\n".join(lines)


def _python(method: str, path: str, example: Any) -> str:
    """With requests, as most tills' programs would."""
    address = repr(_address(path)).replace("'", '"')
    if "{purchase_id}" in address:
        address = f"f{address}".replace("{purchase_id}", "{os.environ['PURCHASE_ID']}")
    headers = ['"Authorization": f"Bearer {os.environ[\'KRUG_KEY\']}"']
    lines = ["import os, requests", "", f"answer = requests.{method}(", f"    {address},"]
    if method == "post":
        headers.append(f'"Idempotency-Key": "{example["external_id"]}"')
    lines.append("    headers={" + ", ".join(headers) + "},")
    if method == "post":
        lines.append(f"    json={_example(example)!r},")
    lines += ["    timeout=10,", ")", "answer.raise_for_status()", "print(answer.json())"]
    return "\n".join(lines)


def _base() -> str:
    return g.tenant.base_url if g.get("tenant") else request.host_url.rstrip("/")
