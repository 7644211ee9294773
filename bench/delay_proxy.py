"""A TCP proxy that adds a fixed delay in each direction: a registry across the country, on one machine.

python -m bench.delay_proxy <port> <upstream port> <round trip in seconds>
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque


class Line(asyncio.Protocol):
    """One direction of a connection: what it receives leaves through `peer` half a round trip later, in order."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._queue: deque[tuple[float, bytes]] = deque()
        self._loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self.peer: Line | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the socket that this line reads from."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Queue bytes with the moment at which they are due."""
        self._queue.append((self._loop.time() + self._delay, data))
        if len(self._queue) == 1:
            self._loop.call_at(self._queue[0][0], self._flush)

    def eof_received(self) -> bool:
        """An end travels like bytes do; the empty piece stands for it."""
        self.data_received(b"")
        return True

    def _flush(self) -> None:
        out = self.peer.transport if self.peer else None
        while self._queue and self._queue[0][0] <= self._loop.time() + 0.0001:
            _, data = self._queue.popleft()
            if out and not out.is_closing():
                out.write(data) if data else out.close()
        if self._queue:
            self._loop.call_at(self._queue[0][0], self._flush)


async def serve(port: int, upstream: int, round_trip: float) -> asyncio.Server:
    """Listen on loopback and connect each caller to the `upstream` port."""
    loop = asyncio.get_running_loop()

    class Front(Line):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            assert self.transport is not None
            self.transport.pause_reading()  # until there is somewhere to write to
            self._dialling = loop.create_task(self._dial())

        async def _dial(self) -> None:
            back = Line(round_trip / 2)
            self.peer, back.peer = back, self
            await loop.create_connection(lambda: back, "127.0.0.1", upstream)
            assert self.transport is not None
            self.transport.resume_reading()

    return await loop.create_server(lambda: Front(round_trip / 2), "127.0.0.1", port)


async def main() -> None:
    """Serve until killed."""
    port, upstream, round_trip = sys.argv[1:]
    server = await serve(int(port), int(upstream), float(round_trip))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
