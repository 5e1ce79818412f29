"""Read settings from their texts: each function takes a variable's name and its text, and returns the value.

All raise ConfigError, which names the variable, and what to write instead. What may be a secret is not shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wsol_core.errors import ConfigError
from wsol_core.registry import BACKBONES, TIMM, is_backbone

YES, NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
MOST_DIGITS = 9
MOST = 1e9
LONGEST_S = 1e6  # a socket takes no timeout of a month
LARGEST_PORT = 65535

# Of Label Studio, in an address that was copied from a browser; a folder that it is served below may have such a name.
_PAGE = re.compile(r"/(projects(/[0-9]+(/.*)?)?|user/(account|login)(/.*)?|api)/?$")
_NETWORK = re.compile(r"[0-9a-f:.]+/[0-9]+", re.IGNORECASE)
_TOKEN = re.compile(r"[!-~]+")  # printable ASCII

Parser = Callable[[str, str], Any]


class S3Url(str):
    """An address such as s3://BUCKET/FOLDER."""


def any_text(_name: str, text: str) -> str:
    """Return the text as it is."""
    return text


def flag(name: str, text: str) -> bool:
    """Return whether it is a yes."""
    if text.lower() not in YES + NO:
        raise ConfigError(f"{name} is {text!r}; set it to 1 or 0, or unset it.")
    return text.lower() in YES


def any_path(name: str, text: str) -> Path:
    """Return a path, whether there is anything or not."""
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise ConfigError(f"{name} is {text!r}, and nobody knows that home folder; write the whole path.") from error


def model_store(name: str, text: str) -> Path | S3Url:
    """Return a folder or a place in a bucket."""
    if not re.match(r"[a-z0-9+.-]+://|s3:", text, re.IGNORECASE):
        return any_path(name, text)
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/[A-Za-z0-9_.-]+)*/?", text):
        raise ConfigError(f"{name} is {text!r}; write a folder, s3://BUCKET, or s3://BUCKET/FOLDER.")
    return S3Url(text.rstrip("/"))


def folder(name: str, text: str) -> Path:
    """Return a folder that is there."""
    if not any_path(name, text).is_dir():
        raise ConfigError(f"{name} is {text!r}, which is no folder; correct the variable or unset it.")
    return Path(text).expanduser()


def url(name: str, text: str) -> str:
    """Return the address of a Label Studio, without a slash at its end."""
    if "@" in text:  # which is not shown
        raise ConfigError(f"{name} holds a user or a password; take them out, a token is all that is needed.")
    wrong = f"{name} is {text!r}; write the whole address, such as http://localhost:8080"
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", text, re.IGNORECASE):
        raise ConfigError(f"{wrong}.")
    try:
        parts = urlsplit(text)
        is_port = parts.port != 0
    except ValueError:
        is_port = False
    if not is_port:
        raise ConfigError(f"{wrong}; its port has to be a number up to {LARGEST_PORT}.")
    if found := _PAGE.search(parts.path):
        raise ConfigError(f"{name} is {text!r}, the address of a page; leave out {found[0]}.")
    return text.rstrip("/")


def token(name: str, text: str) -> str:
    """Return an access token; people copy it with quotes, or with the word before it in a header."""
    found = re.sub(r"^(Token|Bearer)\s+", "", text.strip("\"' "), flags=re.IGNORECASE)
    if not _TOKEN.fullmatch(found):
        raise ConfigError(f"{name} has characters that no token has; copy it again from Account & Settings.")
    return found


def names(_name: str, text: str) -> tuple[str, ...]:
    """Return names with commas, semicolons or blanks between them."""
    return tuple(part for part in re.split(r"[,;\s]+", text) if part)


def hosts(name: str, text: str) -> tuple[str, ...]:
    """Return hosts and networks."""
    found = names(name, text)
    for each in found:
        if each == "*":
            raise ConfigError(f"{name} is '*', which names no host; write hosts, *.example.com, or 10.0.0.0/8.")
        if _NETWORK.fullmatch(each):
            try:
                ip_network(each, strict=False)
            except ValueError:
                raise ConfigError(f"{name} has {each!r}, which is no network; write it like 10.0.0.0/8.") from None
    return found


def listening_host(name: str, text: str) -> str:
    """Return the address or name to listen on."""
    host = text.removeprefix("[").removesuffix("]")
    if "/" in host or re.fullmatch(r"[^:]*:[0-9]+", host):
        raise ConfigError(
            f"{name} is {text!r}; write the address alone, such as 0.0.0.0, and the port in BOXSTRAP_PORT."
        )
    return host


def port(name: str, text: str) -> int:
    """Return the number of a port."""
    found = count(1)(name, text)
    if found > LARGEST_PORT:
        raise ConfigError(f"{name} is {text!r}; it has to be a whole number, 1 to {LARGEST_PORT}.")
    return int(found)


def count(at_least: int) -> Parser:
    """Return what reads whole numbers."""

    def parse(name: str, text: str) -> int:
        is_whole = text.isascii() and text.isdecimal()
        if is_whole and len(text) > MOST_DIGITS:
            raise ConfigError(f"{name} has {len(text)} digits; write a number of {MOST_DIGITS} at most.")
        if not is_whole or int(text) < at_least:
            raise ConfigError(f"{name} is {text!r}; it has to be a whole number, {at_least} or more.")
        return int(text)

    return parse


def number(above: float, most: float = MOST) -> Parser:
    """Return what reads numbers."""

    def parse(name: str, text: str) -> float:
        value = _float(text)
        if not above < value < float("inf"):
            raise ConfigError(f"{name} is {text!r}; it has to be a number above {above:g}.")
        if value > most:
            raise ConfigError(f"{name} is {text!r}; it has to be a number up to {most:,.0f}.")
        return value

    return parse


def share(name: str, text: str) -> float:
    """Return a number from 0 to 1."""
    value = _float(text)
    if not 0 <= value <= 1:
        raise ConfigError(f"{name} is {text!r}; it has to be a number from 0 to 1.")
    return value


def one_of(*choices: str) -> Parser:
    """Return what reads one of several words, in upper or lower case."""
    known = {str(choice).casefold(): str(choice) for choice in choices}

    def parse(name: str, text: str) -> str:
        if text.casefold() not in known:
            raise ConfigError(f"{name} is {text!r}; choose one of {', '.join(choices)}.")
        return known[text.casefold()]

    return parse


def backbone(name: str, text: str) -> str:
    """Return the name of a backbone."""
    if not is_backbone(text):
        raise ConfigError(f"{name} is {text!r}; choose one of {', '.join(BACKBONES)}, or {TIMM}NAME for one of timm's.")
    return text


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
