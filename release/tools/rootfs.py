"""An image's root, made in a sealed container by the toolchain's own dnf and rpm: resolved first, then installed.

The root never lies on the host as a tree. The container packs it into one deterministic tar, so owners, links and
capabilities survive without any privilege here, and no link of a package can lead out of the root.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from release.errors import Broken, Error, Misconfigured, Refused
from release.product.image_definitions import ImageDefinition
from release.product.image_packages import ImagePackage, image_epoch
from release.product.images import Compression, Layer
from release.tools.containers import Containers
from release.tools.layers import compress_layer
from release.tools.sealed import Limits, Sealed

# What installing asks of the kernel: owners and modes (rpm), file capabilities (rpm), the chroot (rpm, scripts, us).
_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETFCAP", "SYS_CHROOT")
_SOURCES = Path(__file__).parent.parent  # the `release` package: the container runs the part that needs no library
_FAMILIES: Mapping[str, type[Error]] = {family.__name__: family for family in (Refused, Broken, Misconfigured)}
_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "HOME": "/work",
        "LC_ALL": "C.UTF-8",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": "/slipway",
        "TZ": "UTC",
    }
)
_TAIL_LINES = 20

Stage = Callable[[str], None]


class RootAssembler:
    """Resolves and installs on `containers` in the toolchain `image`; `folder` is for what passes through."""

    def __init__(self, *, containers: Containers, image: str, folder: Path, limits: Limits | None = None) -> None:
        self._containers, self._image, self._folder = containers, image, folder
        self._limits = limits or Limits(seconds=1800.0)

    async def resolve(self, definition: ImageDefinition, repository: Path) -> tuple[ImagePackage, ...]:
        """The packages that the image will hold, sorted; `repository` is a folder with repodata and signed RPMs.

        `Misconfigured` when they cannot be installed together, with the solver's reason.
        """
        order = {"packages": definition.packages}
        with tempfile.TemporaryDirectory(dir=self._folder) as scratch:
            found = await self._run("resolve", order, definition.name, repository, Path(scratch))
        return tuple(sorted((ImagePackage(**each) for each in found), key=lambda package: package.nevra))

    async def assemble(
        self,
        definition: ImageDefinition,
        packages: Sequence[ImagePackage],
        out: Path,
        *,
        repository: Path,
        key: str,
        compression: Compression = Compression.GZIP,
        stage: Stage = lambda _: None,
    ) -> Layer:
        """Install exactly the resolved `packages` and write the root as a layer to `out`.

        `key` is the armored public key that every RPM must be signed with: `Refused` otherwise. Equal packages and
        equal decisions give equal bytes. `stage` is told in words what happens.
        """
        order = {
            "root": definition.root.to_json(),
            "packages": [package.nevra for package in packages],
            "key": key,
            "epoch": image_epoch(packages),
        }
        with tempfile.TemporaryDirectory(dir=self._folder) as scratch:
            stage(f"installing {len(packages)} packages")
            found = await self._run("install", order, definition.name, repository, Path(scratch))
            _check(definition.name, packages, found)
            stage("compressing the root")
            return await asyncio.to_thread(compress_layer, Path(scratch) / "root.tar", out, compression=compression)

    async def _run(
        self, verb: str, order: Mapping[str, Any], name: str, repository: Path, scratch: Path
    ) -> list[dict[str, Any]]:
        """One program of the assembler; `scratch` receives what it answers."""
        asked = scratch / "order"
        asked.mkdir()
        (asked / "order.json").write_text(json.dumps(order))
        sealed = Sealed(
            image=self._image,
            argv=("python3", "-B", "-m", "release.tools.assembler", verb),
            reads={"/order": asked, "/repository": repository, "/slipway/release": _SOURCES},
            scratch=("/work", "/tmp"),  # noqa: S108 - folders of the container, which nobody shares
            collect={"/result": scratch},
            environment={**_ENVIRONMENT, "SOURCE_DATE_EPOCH": str(order.get("epoch", 0))},
            capabilities=_CAPABILITIES,
            limits=self._limits,
        )
        ended = await self._containers.run(sealed)
        if (scratch / "error.json").exists():
            raise _error(name, json.loads((scratch / "error.json").read_text()))
        if ended.code:
            log = ended.log.decode("utf-8", "replace").strip().splitlines()
            raise Broken("the assembly container failed", where=name, got="\n".join(log[-_TAIL_LINES:]))
        answer: list[dict[str, Any]] = json.loads((scratch / "packages.json").read_text())
        return answer


def _error(name: str, told: Mapping[str, str | None]) -> Error:
    """The refusal of the program inside, as if it had been raised here."""
    where = f"image {name}, {told['where']}" if told["where"] else f"image {name}"
    facts = {key: told[key] for key in ("got", "expected", "hint")}
    return _FAMILIES[told["error"] or ""](told["message"] or "", where=where, **facts)


def _check(name: str, packages: Sequence[ImagePackage], found: Sequence[Mapping[str, Any]]) -> None:
    """What lies in the root must be what was resolved: the image's key and its bill of materials say so."""
    wanted = {(package.name, package.header_digest) for package in packages}
    installed = {(each["name"], each["header_digest"]) for each in found}
    if wanted != installed:
        raise Broken(
            "dnf installed something else than was resolved",
            where=f"image {name}",
            got=", ".join(sorted(each for each, _ in installed ^ wanted)),
            expected=f"the {len(wanted)} packages that were resolved",
            hint="the repository changed in between; run it again",
        )
