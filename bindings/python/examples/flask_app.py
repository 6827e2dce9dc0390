"""A web application that opens a case for every request that fails.

The agent is opened on first use in each worker, not at import: servers such as gunicorn import the application before
they fork (``--preload``), and an agent does not survive a fork.
"""

from __future__ import annotations

import functools
import os
import traceback
from typing import TYPE_CHECKING

import casehook

if TYPE_CHECKING:
    from flask import Flask, Response


@functools.cache
def agent() -> casehook.Agent:
    """This worker's agent. Workers share the database; one of them delivers at a time."""
    return casehook.Agent(os.environ.get("CASEHOOK_DB", "cases.db"))


def report(error: BaseException, method: str, path: str) -> int:
    """Pushes a case; one incident for each kind of error and each path."""
    return agent().push(
        "tracker",
        title=f"{type(error).__name__} in {method} {path}",
        case_id=f"web{path}/{type(error).__name__}",
        description="".join(traceback.format_exception(error)),
        severity="high",
    )


def create_app() -> Flask:
    from flask import Flask, Response, request
    from werkzeug.exceptions import HTTPException

    app = Flask(__name__)

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response | HTTPException:
        if isinstance(error, HTTPException):
            # Such as a page that is not there: no fault of the program.
            return error
        report(error, request.method, request.path)
        return Response("Something went wrong; we know of it.", status=500)

    return app
