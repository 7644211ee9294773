"""Recorded facts: frozen data to JSON and back; equal facts give equal bytes, what a newer Slipway wrote survives."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache, partial
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, cast

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, PlainValidator, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, core_schema

from release import oci
from release.digests import canonical_json
from release.errors import Refused
from release.instants import instant_text

T = TypeVar("T")

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
"""A field that is a sha256 digest in OCI form."""
Descriptor = Annotated[oci.Descriptor, PlainValidator(oci.Descriptor.from_json)]
"""A field that is an OCI descriptor, in OCI's own JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Base of everything that is written down for later: keys that we do not know are kept in `extra`."""

    extra: Annotated[Mapping[str, Any], AfterValidator(MappingProxyType)] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Recorded], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Sort unknown keys into `extra`; the rest is checked as JSON again, where strict means JSON's own types."""
        known = {each.name for each in dataclasses.fields(source)} - {"extra"}
        as_json = core_schema.json_schema(handler(source))
        return core_schema.no_info_before_validator_function(partial(_sort_out, known), as_json)


def to_json(value: Any) -> Any:
    """The JSON value of frozen data: dataclasses by field without the Nones, unknown keys back in their place."""
    if isinstance(value, oci.Descriptor):
        return value.to_json()
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, tuple | list):
        return [to_json(each) for each in value]
    if isinstance(value, Mapping):
        return {key: to_json(each) for key, each in value.items()}
    if not dataclasses.is_dataclass(value):
        return value
    fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    extra = fields.pop("extra", {})
    return {**{key: to_json(each) for key, each in fields.items() if each is not None}, **to_json(extra)}


def to_bytes(value: Any) -> bytes:
    """Canonical JSON (RFC 8785) of frozen data."""
    return canonical_json(to_json(value))


def from_bytes(cls: type[T], raw: bytes, *, what: str) -> T:
    """Read recorded JSON back. `Refused` names `what` and the first place that is wrong."""
    try:
        adapter: TypeAdapter[T] = _adapter(cast(Any, cls))
        return adapter.validate_json(raw, strict=True, extra="forbid")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Refused(
            f"not {what}", where=place or None, got=repr(first["input"])[:100], expected=first["msg"]
        ) from error


@cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def _sort_out(known: set[str], value: Any) -> str:
    if not isinstance(value, dict):
        raise ValueError("a mapping")
    extra = {key: each for key, each in value.items() if key not in known}
    return json.dumps({**{key: each for key, each in value.items() if key in known}, "extra": extra})
