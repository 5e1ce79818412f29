"""Read a TOML file of names and values alone, as the texts that environment variables would have. Torch-free."""

from __future__ import annotations

import difflib
import os
import stat
import tomllib
from collections.abc import Collection
from pathlib import Path

from wsol_core.errors import ConfigError


def read_flat_toml(path: Path, known: Collection[str]) -> dict[str, str]:
    """The file's settings as an environment would have them; none where there is no file.

    Args: known: the names that mean something.
    Raises: ConfigError where it is no TOML, or names or values have no meaning.

    Example:
        >>> read_flat_toml(Path("boxstrap.toml"), {"DEVICE"})
        {'DEVICE': 'cuda'}
    """
    try:
        values = tomllib.loads(_text_of(path))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); write NAME = VALUE, a line each.") from error
    found = {}
    for name, value in values.items():
        if name not in known:
            near = difflib.get_close_matches(name.upper(), known, 1)
            raise ConfigError(f"{path}: {name} is no setting; {f'is {near[0]} meant?' if near else 'remove it.'}")
        found[name] = _text(path, name, value)
    return found


def _text_of(path: Path) -> str:
    """What a file says, with or without the mark that Windows' editors put at its start."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # opening a pipe would wait for a writer
    with os.fdopen(descriptor, encoding="utf-8-sig") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("it is no file")
        return file.read()


def _text(path: Path, name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, list) and all(isinstance(each, str | int | float) for each in value):
        return ",".join(map(str, value))
    if isinstance(value, str | int | float):
        return str(value)
    raise ConfigError(f"{path}: {name} is {value!r}; it has to be a text, a number, true, false or a list of texts.")
