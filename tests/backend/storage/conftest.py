"""A bucket on a real S3 endpoint."""

from __future__ import annotations

import pytest

from backend.storage.bucket import Bucket


@pytest.fixture
def bucket(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket, of which no copy counts as new."""
    monkeypatch.setattr("backend.storage.shared_folder.FRESH_S", 0.0)
    return Bucket(s3_url)
