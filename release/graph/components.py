"""Which nodes of a directed graph reach each other: its strongly connected components, dependencies first."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence


def components(successors: Sequence[Collection[int]]) -> Iterator[tuple[int, ...]]:
    """The strongly connected components of the graph with edges `node -> successors[node]`.

    A component comes after every component that it points to. Tarjan, "Depth-first search and linear graph
    algorithms" (1972), with a stack of its own: trees of specs are deeper than Python's recursion.
    """
    number: dict[int, int] = {}
    lowest: dict[int, int] = {}
    waiting: list[int] = []
    is_waiting = [False] * len(successors)
    for root in range(len(successors)):
        if root in number:
            continue
        path = [(root, iter(successors[root]))]
        _enter(root, number, lowest, waiting, is_waiting)
        while path:
            node, rest = path[-1]
            for each in rest:
                if each not in number:
                    _enter(each, number, lowest, waiting, is_waiting)
                    path.append((each, iter(successors[each])))
                    break
                if is_waiting[each]:
                    lowest[node] = min(lowest[node], number[each])
            else:
                path.pop()
                if path:
                    lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[node])
                if lowest[node] == number[node]:
                    yield _leave(node, waiting, is_waiting)


def _enter(node: int, number: dict[int, int], lowest: dict[int, int], waiting: list[int], flags: list[bool]) -> None:
    number[node] = lowest[node] = len(number)
    waiting.append(node)
    flags[node] = True


def _leave(node: int, waiting: list[int], flags: list[bool]) -> tuple[int, ...]:
    start = waiting.index(node) if waiting[-1] != node else len(waiting) - 1
    members = tuple(sorted(waiting[start:]))
    del waiting[start:]
    for each in members:
        flags[each] = False
    return members
