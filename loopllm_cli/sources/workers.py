"""Decode chunks in order, in this process or in several."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType

from loopllm_cli.errors import OutOfMemory
from loopllm_cli.sources.chunk import Batch, Decoder, Settings
from loopllm_cli.sources.containers import Chunk

_decoder: Decoder | None = None


class Workers:
    """Decoders for the chunks of files.

    Args:
        settings: how records are read.
        n_processes: how many decode at a time; with one, this process does.
    """

    def __init__(self, settings: Settings, n_processes: int) -> None:
        self.local = Decoder(settings)
        self._n_processes = n_processes
        self._pool: ProcessPoolExecutor | None = None
        self._settings = settings

    def decode(self, path: str, chunks: Iterator[Chunk]) -> Iterator[Batch]:
        """Yield the chunks' batches, in the order of the chunks.

        Raises:
            OutOfMemory: a process was killed, which the system does when memory runs out.
        """
        if self._n_processes == 1:
            for chunk in chunks:
                yield self.local.decode(path, chunk)
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._n_processes,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start,
                initargs=(self._settings,),
            )
        waiting: deque[Future[Batch]] = deque()
        try:
            for chunk in chunks:
                waiting.append(self._pool.submit(_decode, path, chunk))
                if len(waiting) > self._n_processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise OutOfMemory(
                "a decoding process was killed, as the system does when memory runs out",
                "run again with --jobs 1; what is in the store stays",
            ) from error

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=error is None, cancel_futures=True)


def _start(settings: Settings) -> None:
    global _decoder
    _decoder = Decoder(settings)


def _decode(path: str, chunk: Chunk) -> Batch:
    assert _decoder is not None
    return _decoder.decode(path, chunk)
