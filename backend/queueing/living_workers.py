"""The workers that Redis has on its list."""

from __future__ import annotations

import redis
from redis.exceptions import RedisError
from rq import Worker
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker


def living_workers(connection: redis.Redis) -> list[BaseWorker]:
    """Return the workers that were heard of lately; entries that nobody can read are left out."""
    found: list[BaseWorker] = []
    for key in Worker.all_keys(connection=connection):
        try:
            worker = Worker.find_by_key(key, connection=connection, serializer=JSONSerializer)
        except RedisError:
            raise
        except Exception:  # RQ raises whatever comes of an entry that is none of its own
            continue
        if worker is not None:
            found.append(worker)
    return found
