"""Container images."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from release import oci

LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"


class Compression(StrEnum):
    GZIP = "gzip"
    ZSTD = "zstd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    diff_id: str
    digest: str
    size: int
    compression: Compression = Compression.GZIP
