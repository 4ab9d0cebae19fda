"""The Flask extensions, unbound; `create_app` binds them."""

from typing import Any

from flask_babel import Babel
from flask_limiter import Limiter
from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from flask_wtf import CSRFProtect
from htmx_flask import Htmx

from portal.kernel import primaries
from portal.kernel.model import Model
from portal.web.client import client_address


class HomeSession(Session):
    """Speaks to the primary of the acting tenant."""

    def get_bind(self, mapper: Any = None, clause: Any = None, bind: Any = None, **_: Any) -> Any:  # noqa: ARG002
        """One primary a session: `tenant_scope` makes a new one when the tenant changes."""
        return bind if bind is not None else primaries.engine(primaries.acting())


db = SQLAlchemy(model_class=Model, session_options={"expire_on_commit": False, "class_": HomeSession})
login_manager = LoginManager()
htmx = Htmx()
babel = Babel()
csrf = CSRFProtect()
limiter = Limiter(client_address)
