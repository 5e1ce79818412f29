"""Names and locks of the files that the service keeps, and how small ones are read; wsol_core/files.py writes them.

A small file may be empty, torn, a folder, of a newer version, or belong to somebody else. Whoever wants that one file
gets DamagedFileError; whoever goes through many reads them through Damage, which leaves out the bad ones.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import stat
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Annotated, Any, TypeVar

from filelock import FileLock, Timeout
from pydantic import Field, TypeAdapter, ValidationError

from backend.errors import BackendError, DamagedFileError, NotFoundError
from wsol_core.errors import StorageError, WsolError
from wsol_core.files import is_full, next_step, write_whole

logger = logging.getLogger(__name__)

POLL_S = 0.01  # between attempts at a lock that another holds
LARGEST_BYTES = 16 * 2**20  # of a small file; the largest are labeling configs and trainings' settings
ADVICE = "restore it from a backup, or remove it"
_ADAPTERS: dict[type, TypeAdapter[Any]] = {}  # making one takes milliseconds
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")

T = TypeVar("T")
Json = dict[str, Any]
Moment = Annotated[float, Field(ge=0, lt=253402300800)]  # seconds since 1970, up to the year 9999


def is_safe(name: str) -> bool:
    """Return whether `name` can be a file's name and nothing else."""
    return _NAME.fullmatch(name) is not None


def safe_name(name: str, what: str) -> str:
    """Return `name`. Raises: NotFoundError, which calls it a `what`, if it is not safe."""
    if not is_safe(name):
        raise NotFoundError(f"{name[:40]!r} is no {what}; it may have letters, digits, '-', '_' and '.'.")
    return name


def is_file(path: Path) -> bool:
    """Return whether it is a file, as far as this user may see."""
    try:
        return path.is_file()
    except OSError:
        return False


def read_text(path: Path) -> str | None:
    """Return what a small file holds; None if there is none. Raises: DamagedFileError if it cannot be read as text."""
    try:
        with _opened(path) as file:
            content = file.read(LARGEST_BYTES + 1)
            if len(content) > LARGEST_BYTES:
                raise DamagedFileError(f"{path} is larger than {LARGEST_BYTES:,} bytes; {ADVICE}.")
            return content.decode("utf-8")
    except FileNotFoundError:
        return None


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file of any size; none if there is none. Raises: DamagedFileError, as `read_text`."""
    try:
        with _opened(path) as file:
            while line := file.readline(LARGEST_BYTES + 1):
                if len(line) > LARGEST_BYTES:
                    raise DamagedFileError(f"{path} has a line of more than {LARGEST_BYTES:,} bytes; {ADVICE}.")
                yield line.decode("utf-8")
    except FileNotFoundError:
        return


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A regular file, to be read as text. Raises: FileNotFoundError; DamagedFileError, also for errors inside."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # opening a pipe would wait for a writer
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DamagedFileError(f"{path} is no file; move it away.")
            yield file
    except FileNotFoundError:
        raise
    except NotADirectoryError as error:
        raise FileNotFoundError from error
    except IsADirectoryError as error:
        raise DamagedFileError(f"{path} is a folder where a file belongs; move it away.") from error
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read ({error.strerror or error}); let this user read it.") from error
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"{path} is no UTF-8 text ({error.reason}); {ADVICE}.") from error


def read_json(path: Path) -> Json | None:
    """Return the JSON object in `path`; None if there is no such file. Raises: DamagedFileError."""
    return None if (text := read_text(path)) is None else parse_json(path, text)


def parse_json(path: Path, text: str) -> Json:
    """Return the JSON object that `text`, the content of `path`, is. Raises: DamagedFileError."""
    try:
        values = json.loads(text, parse_constant=_no_number, parse_float=_finite)
        if "\\ud" in text.casefold():  # half of a surrogate pair, which nothing could send or write again
            json.dumps(values, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} holds no JSON ({str(error)[:200]}); {ADVICE}.") from error
    if not isinstance(values, dict):
        raise DamagedFileError(f"{path} holds no JSON object; {ADVICE}.")
    return values


def read_record(path: Path, parse: Callable[[Json], T]) -> T | None:
    """Return what `parse` makes of the JSON object in `path`; None if there is none. Raises: DamagedFileError."""
    return None if (text := read_text(path)) is None else parse_record(path, text, parse)


def parse_record(path: Path, text: str, parse: Callable[[Json], T]) -> T:
    """Return what `parse` makes of the JSON object that `text`, the content of `path`, is.

    Raises: DamagedFileError where `parse` cannot make anything of it, whatever it raises.
    """
    values = parse_json(path, text)
    try:
        return parse(values)
    except (BackendError, WsolError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        reason = _first_fault(error) if isinstance(error, ValidationError) else str(error)
        raise DamagedFileError(
            f"{path} says what this version of Boxstrap does not understand ({reason[:200]}); {ADVICE}, or start the "
            "version that wrote it."
        ) from error


def checked(record: type[T], values: Mapping[str, Any]) -> T:
    """Return a dataclass of `values`, each of the type that its field has. Raises: ValueError naming the field."""
    if record not in _ADAPTERS:
        _ADAPTERS[record] = TypeAdapter(record)
    found: T = _ADAPTERS[record].validate_python(dict(values))
    return found


class Damage:
    """The damaged files that were met, until they can be read again or are gone. For any number of threads."""

    def __init__(self) -> None:
        self._notices: dict[Path, str] = {}

    def read(self, path: Path, parse: Callable[[Json], T]) -> T | None:
        """As `read_record`, but None where the file is damaged: that is noted, and logged once."""
        return self.tolerate(path, lambda: read_record(path, parse))

    def tolerate(self, path: Path, read: Callable[[], T | None]) -> T | None:
        """Return what `read` makes of `path`; None where it raises DamagedFileError, which is noted."""
        try:
            found = read()
        except DamagedFileError as error:
            self.note(path, str(error))
            return None
        self.clear(path)
        return found

    def note(self, path: Path, notice: str) -> None:
        """Keep a sentence about `path`, which says what to do."""
        if self._notices.get(path) != notice:
            self._notices[path] = notice
            logger.warning("%s", notice)

    def clear(self, path: Path) -> None:
        """Say that nothing is wrong with `path`."""
        self._notices.pop(path, None)

    def notices(self) -> list[str]:
        """Return what is known now, by path."""
        return [notice for path, notice in sorted(self._notices.items()) if os.path.lexists(path)]


def keep_private(folder: Path) -> None:
    """Have this process make files and folders that no other user can open, and close `folder` to them."""
    os.umask(0o077)
    if folder.is_dir():
        with suppress(OSError):  # somebody else's, who has to know, or on a disk that cannot be written
            folder.chmod(0o700)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Replace `path` whole or not at all; a folder in its place is put aside."""
    write_text(path, json_text(values))


def json_text(values: Mapping[str, Any]) -> str:
    """Return what a small file of `values` holds."""
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Replace `path` whole or not at all; a folder in its place is put aside."""
    if path.is_dir() and not path.is_symlink():
        put_aside(path)
    write_whole(path, text.encode())


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file `path` inside; the system releases it when the process dies, however it dies.

    Yields whether it is held: always with `wait`, otherwise False where another process or thread holds it. The file
    stays; a link or a folder in its place is put aside, not followed. Raises: StorageError where the disk is full or
    read-only, or the file system has no locks: those that filelock has instead outlive a process.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or path.is_dir():
            put_aside(path)
        lock = FileLock(path, poll_interval=POLL_S, fallback_to_soft=False)
        lock.acquire(blocking=wait)
    except Timeout:
        yield False
        return
    except OSError as error:
        raise StorageError(
            f"{path} cannot be locked: {error.strerror or error}; {next_step(error)}.", is_full(error)
        ) from error
    try:
        yield True
    finally:
        lock.release()


def put_aside(path: Path) -> None:
    """Rename what is in the place of a file, and say so."""
    aside = path.with_name(f".aside-{uuid.uuid4().hex}")
    with suppress(FileNotFoundError):  # another process was faster
        path.rename(aside)
        logger.warning("%s was no file, and is %s now; remove it if it is nobody's.", path, aside.name)


def _first_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"{text} is too large a number")
    return number
