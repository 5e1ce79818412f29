"""Turn errors into responses of one shape: {"error": {"code", "message"}}, never a traceback."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from backend.errors import BackendError, BusyError, NotAllowedError
from wsol_core.errors import StorageError, WsolError

logger = logging.getLogger(__name__)

CODES = {400: "bad_request", 404: "not_found", 405: "no_such_method", 413: "too_large"}  # of what the framework raises


def error_response(error: BackendError, close: bool = False) -> JSONResponse:
    """Return the response that the error's class asks for. Args: close: the connection ends, whatever comes on it."""
    headers = {"Connection": "close"} if close else {}
    if isinstance(error, NotAllowedError):
        headers["WWW-Authenticate"] = 'Basic realm="Boxstrap", charset="UTF-8"'
    if isinstance(error, BusyError):
        headers["Retry-After"] = "5"
    return _answer(error.status, error.code, str(error), headers)


def add_error_handlers(app: FastAPI) -> None:
    """Give every error of `app` a response of that shape."""

    async def expected(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, BackendError)
        logger.log(logging.WARNING if error.status >= 500 else logging.INFO, "%s: %s", _method_and_path(request), error)
        return error_response(error)

    async def no_storage(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, StorageError)
        logger.warning("%s: %s", _method_and_path(request), error)
        return _answer(507, "no_room", str(error)) if error.is_full else _answer(503, "no_storage", str(error))

    async def learner(request: Request, error: Exception) -> JSONResponse:
        logger.warning("%s: %s", _method_and_path(request), error)
        return _answer(500, "learner", str(error))

    async def unreadable(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        place = ".".join(str(part)[:40] for part in first.get("loc", ()))
        return _answer(422, "bad_request", f"{place}: {first.get('msg', 'has no meaning')}")

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        message = (
            f"{_method_and_path(request)}: {error.detail}" if error.status_code in (404, 405) else str(error.detail)
        )
        return _answer(error.status_code, CODES.get(error.status_code, "http"), message, error.headers)

    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        logger.error("%s: unexpected", _method_and_path(request), exc_info=error)
        return _answer(500, "internal", "This is a fault of the program; its log says where it happened.")

    app.add_exception_handler(BackendError, expected)
    app.add_exception_handler(StorageError, no_storage)
    app.add_exception_handler(WsolError, learner)
    app.add_exception_handler(RequestValidationError, unreadable)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)


def _answer(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    sendable = message.encode("utf-8", "replace").decode()  # callers can send half of a surrogate pair
    return JSONResponse({"error": {"code": code, "message": sendable}}, status, headers)


def _method_and_path(request: Request) -> str:
    """Return method and path on one line of a log, whatever the caller wrote."""
    return f"{request.method[:10]} {quote(request.url.path[:100])}"
