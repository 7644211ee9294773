"""A process for measuring: reads a commit, makes the graph with its levels, says as JSON how long each took.

python -m bench.read_and_graph REPOSITORY CACHE COMMIT
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from release.graph.graph import Graph
from release.tools.git import Repository
from tasks.read import read_tree, system_parser


async def main(repository: str, cache: str, commit: str) -> None:
    """Print `{"read", "graph", "graph_busy", ...}`: seconds, and seconds on a processor for the graph."""
    start = time.perf_counter()
    folder = Path(cache)
    folder.mkdir(parents=True, exist_ok=True)
    parser = system_parser(folder)
    tree = await read_tree(Repository(url=repository, mirrors=folder), commit, parser=parser, arch="x86_64")
    read, busy = time.perf_counter(), time.process_time()
    graph = Graph.of(tree.packages)
    graph.levels()
    unresolved = len(graph.unresolved)
    done, busy = time.perf_counter(), time.process_time() - busy
    found = {
        "read": read - start,
        "graph": done - read,
        "graph_busy": busy,
        "packages": len(tree.packages),
        "unresolved": unresolved,
    }
    print(json.dumps({**found, "failed": [str(each) for each in tree.failures]}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
