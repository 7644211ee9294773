"""A process for measuring: reads a commit, makes the graph with its levels, says as JSON how long each took.

python -m bench.read_and_graph REPOSITORY CACHE COMMIT
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from release.source.graph import Graph
from release.tools.git import Repository
from release.tools.namespaces import InNamespaces
from release.tools.specparser import SpecParser
from tasks.read import read_tree


async def main(repository: str, cache: str, commit: str) -> None:
    """Print `{"read", "graph", "levels", ...}`, times in seconds."""
    start = time.perf_counter()
    folder = Path(cache)
    folder.mkdir(parents=True, exist_ok=True)
    parser = SpecParser(place=InNamespaces(), folder=folder)
    tree = await read_tree(Repository(url=repository, mirrors=folder), commit, parser=parser, arch="x86_64")
    read = time.perf_counter()
    graph = Graph.of(tree.packages)
    graph.levels()
    unresolved = len(graph.unresolved)
    done = time.perf_counter()
    found = {"read": read - start, "graph": done - read, "packages": len(tree.packages), "unresolved": unresolved}
    print(json.dumps({**found, "failed": [str(each) for each in tree.failures]}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
