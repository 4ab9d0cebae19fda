"""The blueprint of the API: every route names its scope, and the key is asked for before the body is read (R1)."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask_openapi3 import APIBlueprint

from portal.api import keys, requests
from portal.kernel.authz import Access, Permission

View = Callable[..., Any]


class ApiBlueprint(APIBlueprint):
    """flask-openapi3's, closed by default: `permission=` missing is a TypeError at import."""

    def _add_url_rule(  # type: ignore[override]
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: View | None = None,
        provide_automatic_options: bool | None = None,
        *,
        permission: Permission | Access,
        **options: Any,
    ) -> None:
        if view_func is None:
            raise TypeError(f"{rule}: a route needs a view")
        super()._add_url_rule(rule, endpoint, guarded(view_func, permission), provide_automatic_options, **options)

    def route(self, rule: str, **_options: Any) -> Any:
        """Refused: Flask's own decorator would pass by the guard and by the description."""
        raise TypeError(f"{rule}: use .get or .post with permission=; .route() is unguarded")


def guarded(view: View, permission: Permission | Access) -> View:
    """401 for no key, 403 for a key without the scope, 429 for one that asks too often; only then 415, 400, 422."""
    if not isinstance(permission, Permission | Access):
        raise TypeError(f"{view.__name__}: permission= takes a Permission, LOGIN or PUBLIC")

    @wraps(view)
    def run(**kwargs: Any) -> Any:
        if permission is not Access.PUBLIC:
            keys.require(permission)
        requests.check_body()
        return view(**kwargs)

    run.permission = permission  # type: ignore[attr-defined]
    run.room = "api"  # type: ignore[attr-defined]
    return run
