"""The errors of the service. Each message names the thing, the value and the next step.

BackendError
├── RequestError           422  a request has no meaning
│   ├── TooLargeError      413  it is larger than the service takes
│   ├── NotAllowedError    401  name or password are missing or wrong
│   ├── WrongHostError     421  it was sent to a name that is not this server's
│   ├── TooSlowError       408  its body did not arrive in time
│   ├── NotJsonError       415  it does not say that it is JSON
│   └── NotFoundError      404  there is no such project, version or job
├── BusyError              503  the answer did not come in time; ask again later
├── QueueError             503  Redis cannot be reached, or refuses
│   └── RedisAwayError     503  it cannot be reached; workers cannot either, and are not dead for that
│       └── RedisFullError 503  it answers, but takes no writes for now
├── RegistryError          409  a version cannot be published, activated or deleted
│   └── LiveVersionChangedError  409  a version was judged against one that is no longer live
├── DamagedFileError       409  a file that the service keeps does not hold what it should
├── LabelStudioError       502  Label Studio refused, or said something that makes no sense
│   └── UnreachableError   502  Label Studio does not answer, or not for now; trying again helps
└── ImageError             422  a task's picture cannot be used
    └── ImageNotNowError   502  a task's picture cannot be had for now; trying again helps
"""

from __future__ import annotations

from typing import ClassVar


class BackendError(Exception):
    """Base of every error that the service raises on purpose; `str(error)` is written for the user."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"


class RequestError(BackendError):
    """A request has no meaning."""

    status, code = 422, "bad_request"


class TooLargeError(RequestError):
    """A request is larger than the service takes."""

    status, code = 413, "too_large"


class NotAllowedError(RequestError):
    """Name or password are missing or wrong."""

    status, code = 401, "not_allowed"


class WrongHostError(RequestError):
    """A request was sent to a name that is not this server's."""

    status, code = 421, "wrong_host"


class TooSlowError(RequestError):
    """A request's body did not arrive in time."""

    status, code = 408, "too_slow"


class NotJsonError(RequestError):
    """A request that changes something does not say that it is JSON."""

    status, code = 415, "not_json"


class NotFoundError(RequestError):
    """There is no such project, version or job."""

    status, code = 404, "not_found"


class BusyError(BackendError):
    """The answer did not come in time."""

    status, code = 503, "busy"


class QueueError(BackendError):
    """Redis cannot be reached."""

    status, code = 503, "no_queue"


class RedisAwayError(QueueError):
    """Redis cannot be reached; workers cannot reach it either, and are not dead for that."""


class RedisFullError(RedisAwayError):
    """Redis answers, but takes no writes for now: its disk or memory is full, or it is a replica."""


class RegistryError(BackendError):
    """A version cannot be published, activated or deleted."""

    status, code = 409, "registry"


class LiveVersionChangedError(RegistryError):
    """A version was judged against one that is no longer live."""


class DamagedFileError(BackendError):
    """A file that the service keeps does not hold what it should; the message begins with its path."""

    status, code = 409, "damaged_file"


class LabelStudioError(BackendError):
    """Label Studio refused, or said something that makes no sense."""

    status, code = 502, "label_studio"


class UnreachableError(LabelStudioError):
    """Label Studio does not answer, or not for now; trying again helps."""

    code = "label_studio_unreachable"


class ImageError(BackendError):
    """A task's picture cannot be used."""

    status, code = 422, "image"


class ImageNotNowError(ImageError):
    """A task's picture cannot be had for now; trying again helps."""

    status, code = 502, "image_not_now"


UNTRUSTED = (
    "its certificate is not one that this machine trusts; put that of the authority that signed it into a file (PEM), "
    "and name the file in SSL_CERT_FILE for every process of Boxstrap"
)


def is_untrusted_certificate(error: BaseException) -> bool:
    """Return whether a connection failed since nobody vouches for the other side's certificate."""
    return "CERTIFICATE_VERIFY_FAILED" in str(error)
