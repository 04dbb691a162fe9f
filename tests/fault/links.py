"""A TCP connection between two processes, with a bad day: slow, cut without a word, or reset now and then."""

import asyncio
import random
import socket
import struct
import threading
from types import TracebackType
from typing import Final, Self

from keeprate.deploy.local.process import free_port

_RESET: Final = struct.pack("ii", 1, 0)


class Link:
    """Forwards from `port` to `target_port`. What is done to it holds for connections that are open, too.

    met: how often it cut or broke something off.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = free_port()
        self.met = 0
        self._delay_s = 0.0
        self._whole = asyncio.Event()
        self._whole.set()
        self._reset_share = 0.0
        self._rng = random.Random(0)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def slow_down(self, delay_s: float) -> None:
        """Each piece is late by so much."""
        self._delay_s = delay_s

    def cut(self) -> None:
        """Nothing passes and nobody is told, as with a cable that is pulled."""
        self.met = 0
        self._loop.call_soon_threadsafe(self._whole.clear)

    def reset_some(self, share: float, rng: random.Random) -> None:
        """Each piece breaks its connection off with this probability."""
        self.met = 0
        self._rng = rng
        self._reset_share = share

    def heal(self) -> None:
        """Pass everything, what was held up first."""
        self._delay_s, self._reset_share = 0.0, 0.0
        self._loop.call_soon_threadsafe(self._whole.set)

    def __enter__(self) -> Self:
        self._thread.start()
        serving = asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.heal()
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            await self._uncut()
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
            writers.append(up_writer)
            ways = [asyncio.create_task(self._pump(*way)) for way in ((reader, up_writer), (up_reader, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # The target is down, and so the connection ends.
        finally:
            for each in writers:
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(1 << 16):
            await self._uncut()
            await asyncio.sleep(self._delay_s)
            if self._rng.random() < self._reset_share:
                self.met += 1
                connection: socket.socket = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                return
            writer.write(piece)
            await writer.drain()

    async def _uncut(self) -> None:
        self.met += not self._whole.is_set()
        await self._whole.wait()
