"""One push by one client in a process of its own, so that its time and its memory are its own.

python -m bench.pushers slipway|oras <registry url> <repository> <folder of files>
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path


async def push_with_slipway(url: str, repository: str, folder: Path) -> None:
    """Blobs, then the manifest that names them."""
    from release import oci
    from release.tools.registry import Registry

    async with Registry(url=url) as registry:
        layers = await registry.push_blobs(repository, sorted(folder.iterdir()))
        await registry.push_document(repository, oci.manifest(artifact_type="application/x-bench", layers=layers))


def push_with_oras(url: str, repository: str, folder: Path) -> None:
    """The same files through oras-py."""
    import oras.client

    client = oras.client.OrasClient(insecure=True)
    target = f"{url.removeprefix('http://')}/{repository}:bench"
    files = [str(path) for path in sorted(folder.iterdir())]
    client.push(target=target, files=files, disable_path_validation=True)


if __name__ == "__main__":
    who, *rest, path = sys.argv[1:]
    if who == "slipway":
        asyncio.run(push_with_slipway(rest[0], rest[1], Path(path)))
    else:
        push_with_oras(rest[0], rest[1], Path(path))
