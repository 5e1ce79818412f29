"""When trainings may start, as text that settings and policies have: cron expressions and quiet hours."""

from __future__ import annotations

import re

from wsol_core.errors import ConfigError


def cron_expression(name: str, text: str) -> str:
    """`text` if it is a cron expression of five fields that comes true some day, or ""; ConfigError names `name`."""
    cron = " ".join(text.split())
    if not cron:
        return ""
    from croniter import CroniterError, croniter  # only who has one needs it

    # croniter also knows a field of seconds and random times.
    if len(cron.split()) != 5 or re.search(r"\br\b", cron, re.IGNORECASE) or not croniter.is_valid(cron):
        raise ConfigError(f"{name} is {text!r}; write a cron expression of five fields, such as '0 3 * * *'.")
    try:
        croniter(cron).get_next()
    except CroniterError as error:
        raise ConfigError(f"{name} is {text!r}, which no day ever is; write one such as '0 3 * * *'.") from error
    return cron


def quiet_hours(name: str, text: str) -> str:
    """`text` if it is a span of the day such as 22:00-07:00, or ""; ConfigError names `name`."""
    clock = "([01][0-9]|2[0-3]):[0-5][0-9]"
    span = "".join(text.split())
    if span and (not re.fullmatch(f"{clock}-{clock}", span, re.ASCII) or span[:5] == span[6:]):
        raise ConfigError(f"{name} is {text!r}; write from when to when as HH:MM-HH:MM, such as 22:00-07:00.")
    return span
