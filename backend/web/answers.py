"""The shape of every error's answer: {"error": {"code", "message"}}, never a traceback."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from backend.errors import BackendError, BusyError, NotAllowedError
from wsol_core.errors import WsolError

logger = logging.getLogger(__name__)


def error_response(error: BackendError) -> JSONResponse:
    """As the error's class says."""
    headers = {"WWW-Authenticate": "Basic"} if isinstance(error, NotAllowedError) else {}
    if isinstance(error, BusyError):
        headers["Retry-After"] = "5"
    return _answer(error.status, error.code, str(error), headers)


def answer_errors(app: FastAPI) -> None:
    """Makes every error of `app` an answer of that shape."""

    async def expected(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, BackendError)
        logger.log(
            logging.WARNING if error.status >= 500 else logging.INFO, "%s: %s: %s", request.url.path, error.code, error
        )
        return error_response(error)

    async def learner(request: Request, error: Exception) -> JSONResponse:
        logger.warning("%s: %s", request.url.path, error)
        return _answer(500, "learner", str(error))

    async def unreadable(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        place = ".".join(str(part) for part in first.get("loc", ()))
        return _answer(422, "bad_request", f"{place}: {first.get('msg', 'has no meaning')}")

    async def http(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return _answer(error.status_code, "http", str(error.detail))

    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        logger.error("%s: unexpected", request.url.path, exc_info=error)
        return _answer(500, "internal", "This is a fault of the program; its log says where it happened.")

    app.add_exception_handler(BackendError, expected)
    app.add_exception_handler(WsolError, learner)
    app.add_exception_handler(RequestValidationError, unreadable)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)


def _answer(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)
