"""How far Label Studio has been read into the ledger, page by page, so that a job that was killed is resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Scan:
    """A reading that goes on. `full`: of all tasks; `after_id`: the last task read; `began`: by our clock.

    `updated_at`, `config` and `answered` are what the cursor gets when it ends.
    """

    full: bool
    after_id: int
    began: float
    updated_at: str
    config: str
    answered: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SyncCursor:
    """`updated_at`: Label Studio's time of the newest change that has been read; changes after it are read next.

    `config`: digest of the labeling config that rows were reviewed under. `answered`: how often a reading had been
    asked for by then. `full_scan`: when all tasks were last read; `synced`: when a reading last ended, None: none has;
    both in seconds since 1970 by our clock.
    """

    updated_at: str = ""
    config: str = ""
    answered: Mapping[str, int] = field(default_factory=dict)
    full_scan: float = 0.0
    synced: float | None = None
    scan: Scan | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SyncCursor:
        """Read what `to_dict` gave; a missing key has its default."""
        return cls(
            updated_at=values.get("updated_at") or "",
            config=values.get("config") or "",
            answered=values.get("answered") or {},
            full_scan=values.get("full_scan") or 0.0,
            synced=values.get("observed"),  # the key of versions before this name
            scan=Scan(**values["scan"]) if values.get("scan") else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        values = asdict(self)
        synced, scan = values.pop("synced"), values.pop("scan")
        return {**values, "observed": synced, **({"scan": scan} if scan else {})}
