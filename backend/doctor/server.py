"""Checks of Label Studio itself and of the address that it calls us at: addresses and the access token."""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from backend.doctor.checks import Finding, failed, ok, warning
from backend.errors import UNTRUSTED, LabelStudioError, is_untrusted_certificate
from backend.labelstudio.client import LabelStudioClient
from backend.labelstudio.connection import redirected
from backend.settings import Settings

TIMEOUT_S = 5.0
HERE = ("localhost", "127.0.0.1", "::1", "0.0.0.0")
CONTAINER_MARK = Path("/.dockerenv")
LEGACY, PERSONAL = "legacy", "personal"
LEGACY_OFF = (
    "Make a personal access token in Label Studio (Account & Settings, Personal Access Token) and set "
    "LABEL_STUDIO_API_KEY to it; or let its owner switch legacy tokens on (Organization, API Tokens Settings), or "
    "start a new Label Studio with LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN=true."
)


def address(settings: Settings, container_mark: Path = CONTAINER_MARK) -> Finding:
    """LABEL_STUDIO_URL answers, and is a Label Studio."""
    url = settings.label_studio_url
    if url is None:
        return failed("LABEL_STUDIO_URL is not set", "Set it to Label Studio's address, such as http://localhost:8080.")
    inside = container_mark.exists() and urlsplit(url).hostname in HERE
    try:
        answer = httpx.get(f"{url}/api/version", timeout=TIMEOUT_S, follow_redirects=False)
        version = answer.json().get("release") if answer.status_code == 200 else None
    except httpx.HTTPError as error:
        if is_untrusted_certificate(error):
            return failed(f"{url} answers, but not so that it could be trusted", f"{url}: {UNTRUSTED}.")
        return failed(
            f"{url} does not answer ({type(error).__name__})",
            f"In a container that address is the container itself: set LABEL_STUDIO_URL to {_on_the_host(url)}, or to "
            "the name of Label Studio's service."
            if inside
            else "Start Label Studio, or correct LABEL_STUDIO_URL: it has to be the address as seen from here.",
        )
    except (ValueError, AttributeError):  # no JSON, or none with names
        version = None
    if answer.is_redirect:
        return failed(f"{url} redirects", f"Set LABEL_STUDIO_URL to {redirected(answer, 'api/version')}.")
    if not version:
        return failed(
            f"{url} answers {answer.status_code} to /api/version, so it is no Label Studio",
            "Set LABEL_STUDIO_URL to the address of Label Studio's start page, without /projects.",
        )
    return ok(f"Label Studio {version} at {url}")


def _on_the_host(url: str) -> str:
    """Return the address of what runs beside a container under `url`, as the container sees it."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    port = host.rpartition(":")[2] if host.rpartition(":")[2].isdecimal() else ""
    return f"{parts.scheme}://host.docker.internal{f':{port}' if port else ''}{parts.path}"


def token_kind(token: str) -> str | None:
    """Which kind of access token it is; None for one that lasts minutes only."""
    parts = token.split(".")
    if len(parts) != 3:
        return LEGACY
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return LEGACY
    return None if isinstance(claims, dict) and claims.get("token_type") == "access" else PERSONAL


def token(settings: Settings) -> Finding:
    """LABEL_STUDIO_API_KEY opens Label Studio."""
    key = settings.label_studio_api_key
    if not key:
        return failed(
            "LABEL_STUDIO_API_KEY is not set, so tasks cannot be read for trainings",
            "Set it to a personal access token of Label Studio (Account & Settings).",
        )
    kind = token_kind(key)
    if kind is None:
        return failed(
            "LABEL_STUDIO_API_KEY is an access token of five minutes",
            "Set it to the personal access token that it was made from.",
        )
    try:
        user = client(settings).whoami()
    except LabelStudioError as error:
        if "legacy token" in str(error) and "disabled" in str(error):
            return failed("Label Studio has legacy tokens switched off, and LABEL_STUDIO_API_KEY is one", LEGACY_OFF)
        if "401" in str(error) or "cannot be used" in str(error):
            return failed(
                f"Label Studio refuses the {kind} token in LABEL_STUDIO_API_KEY",
                "Copy a personal access token again from Account & Settings; a revoked one does not come back.",
            )
        raise
    return ok(f"{kind} token of {user.get('email') or user.get('username') or 'a user without a name'}")


def own_address(settings: Settings, url: str | None) -> Finding:
    """`boxstrap serve` answers at `url`; where that is None, it may as well run on another machine than this."""
    advice = "Start `boxstrap up` or `boxstrap serve`, or give the address that Label Studio uses as --backend-url."
    bad = failed if url else warning
    url = url or f"http://{'127.0.0.1' if settings.host == '0.0.0.0' else settings.host}:{settings.port}"
    try:
        answer = httpx.get(f"{url}/health", timeout=TIMEOUT_S)
        healthy = answer.status_code == 200 and answer.json().get("status") == "UP"
    except httpx.InvalidURL:
        return failed(f"{url} is no address", "Write the whole address, such as http://localhost:9090.")
    except httpx.HTTPError as error:
        return bad(f"{url} does not answer ({type(error).__name__})", advice)
    except (ValueError, AttributeError):
        healthy = False
    if not healthy:
        return bad(f"{url}/health answers {answer.status_code}, and not as Boxstrap does", advice)
    return ok(f"Boxstrap answers at {url}")


def client(settings: Settings) -> LabelStudioClient:
    """One that asks once; LabelStudioError where the settings lack something for it."""
    if settings.label_studio_url is None or settings.label_studio_api_key is None:
        raise LabelStudioError("LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY are not both set.")
    # Listing backends makes Label Studio call each of them: 3 s for /health, 3 s for /setup.
    return LabelStudioClient(settings.label_studio_url, settings.label_studio_api_key, timeout_s=10.0, waits_s=())
