"""The picture cache of one installation, opened from its settings."""

from __future__ import annotations

from backend.images.image_store import ImageStore, LabelStudioAccess, MediaRules
from backend.settings import Settings

MB, GB = 2**20, 2**30


def open_media(settings: Settings, label_studio: LabelStudioAccess | None) -> ImageStore:
    """The picture cache that all processes share."""
    rules = MediaRules(
        max_bytes=settings.image_max_mb * MB,
        max_pixels=settings.image_max_megapixels * 1_000_000,
        timeout_s=settings.image_timeout_s,
        private_hosts=settings.image_hosts,
    )
    return ImageStore(settings.home / "pictures", rules, int(settings.image_cache_gb * GB), label_studio)
