"""Connect to Redis or Valkey: the user's own, or the embedded one; see processes/redis_server.py for its start."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as ConnectionLostError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as TooSlowError
from redis.retry import Retry

from backend.errors import QueueError, RedisAwayError, RedisFullError
from backend.settings import Settings

QUICKLY_S = 2.0  # for what a person or Label Studio waits for
LONGEST_SOCKET_PATH = 100  # bytes; the system takes 107
WRITE_IT = "write redis://[:password@]host:port/0, the password percent-encoded"
ADVICE = (  # by what a server says that refuses
    ("WRONGTYPE", "Another program uses our keys; give Boxstrap a database of its own (REDIS_URL=.../1)."),
    ("DB index", "Correct the number at the end of REDIS_URL."),
    ("NOPERM|no permissions", "Let its user do everything with the keys rq:* and boxstrap:*."),
    ("MOVED|CROSSSLOT|[Cc]luster", "It is part of a cluster; set REDIS_URL to a server that stands alone."),
    ("unknown command", "Its version is too old, or has commands switched off."),
    ("", "Is its password wrong?"),
)
TAKES_NO_WRITES = re.compile("MISCONF|NOREPLICAS|OOM |READONLY")  # how such answers begin, also inside of others


def socket_path(home: Path) -> Path:
    """Where the embedded server listens; QueueError where the system cannot take so long a path."""
    path = home / "redis" / "socket"
    if len(str(path).encode()) > LONGEST_SOCKET_PATH:
        raise QueueError(f"{path} is too long for a socket; set BOXSTRAP_HOME to a shorter path, or REDIS_URL.")
    return path


def redis_url(settings: Settings) -> str:
    """The address that every process of one installation connects to."""
    return settings.redis_url or f"unix://{socket_path(settings.home)}"


def connect(settings: Settings, answer_s: float | None = None) -> redis.Redis:
    """A connection that survives a restart of the server.

    Args: answer_s: within which everything has to be answered; by default longer than any job is waited for, since
        blocking reads end with an error by then.
    """
    url, wait_s = redis_url(settings), answer_s or settings.predict_timeout_s + 10
    if _holds_a_bare_password(url):
        raise QueueError(
            "REDIS_URL cannot be used: its password has characters that mean something in an address; percent-encode "
            "it, / as %2F, # as %23, ? as %3F, % as %25."
        )
    if re.search(r"://[^/?]*/[^?]*[^0-9/?]", url) and not url.startswith("unix"):  # would be taken for database 0
        raise QueueError(f"REDIS_URL cannot be used: its database is no number; {WRITE_IT}.")
    try:
        connection = redis.Redis.from_url(
            url,
            socket_timeout=wait_s,
            socket_connect_timeout=5,
            health_check_interval=30,
            # For a connection that a restart has cut; a server that is silent stays so.
            retry=Retry(ConstantBackoff(0.05), 2, supported_errors=(redis.ConnectionError,)),
        )
        connection.connection_pool.make_connection()  # which looks at the address's options, and connects to nothing
    except (ValueError, TypeError, RedisError) as error:
        # Redis's own message may show a piece of the password.
        raise QueueError(f"REDIS_URL cannot be used; {WRITE_IT}.") from error
    return connection


def _holds_a_bare_password(url: str) -> bool:
    """Return whether the host and port end before a password does, so that pieces of it would pass for them."""
    scheme, _, rest = url.partition("://")
    return scheme.lower() in ("redis", "rediss") and re.match(r"[^/?#]*[/?#].*@", rest) is not None


def password_in(url: str) -> str | None:
    """Return the password as the address has it, also where that is no proper address."""
    user_and_password = url.partition("://")[2].rpartition("@")[0]
    return user_and_password.partition(":")[2] or None


def where(settings: Settings) -> str:
    """The address without its password, which may stand in its query as well, for messages."""
    url = redis_url(settings)
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


@contextmanager
def redis_errors() -> Iterator[None]:
    """Inside, errors of Redis become QueueError, which says what to do."""
    try:
        yield
    except (ConnectionLostError, TooSlowError) as error:
        raise RedisAwayError(
            f"Redis does not answer ({type(error).__name__}); start `boxstrap up`, or set REDIS_URL to your own server."
        ) from error
    except RedisError as error:
        if takes_no_writes(error):
            raise RedisFullError(
                f"Redis takes no writes ({reason_of(error)}). Make room on its disk, or raise its maxmemory; what "
                "waits goes on by itself then."
            ) from error
        advice = next(advice for said, advice in ADVICE if re.search(said, str(error)))
        raise QueueError(f"Redis refuses: {reason_of(error)}. {advice}") from error


def require_writes(connection: redis.Redis) -> None:
    """Write something that nobody reads. Raises: RedisFullError where no writes are taken, QueueError for all else."""
    with redis_errors():
        connection.set("boxstrap:probe", "1", ex=60)


def takes_no_writes(error: RedisError) -> bool:
    """Return whether the server answers, but refuses to write: trying again helps once somebody has made room."""
    return isinstance(error, OutOfMemoryError | ReadOnlyError) or TAKES_NO_WRITES.search(str(error)) is not None


def reason_of(error: RedisError) -> str:
    """Return what the server said, without the command, whose arguments may be addresses that are signed."""
    said = re.sub(r"^Command # \d+ \(.*\) of pipeline caused error: ", "", str(error), flags=re.DOTALL)
    return said[:200].rstrip(". ")
