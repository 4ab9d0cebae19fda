"""The Flask extensions, unbound; `create_app` binds them. No logic here."""

from flask_babel import Babel
from flask_limiter import Limiter
from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from htmx_flask import Htmx

from portal.kernel.model import Model
from portal.web.client import client_address

db = SQLAlchemy(model_class=Model, session_options={"expire_on_commit": False})
login_manager = LoginManager()
htmx = Htmx()
babel = Babel()
csrf = CSRFProtect()
limiter = Limiter(client_address)
