"""Addresses of static files."""

from flask import Flask, url_for


def init_app(app: Flask) -> None:
    """Give the templates `asset`."""
    app.jinja_env.globals["asset"] = lambda path: url_for("static", filename=path)
