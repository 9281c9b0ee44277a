"""What goes on beside a check, in a thread of its own."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self


class Background:
    """Works from the beginning of a block to its end. The end raises what befell the work: a watcher that died saw nothing wrong."""

    def __enter__(self) -> Self:
        self.stopping = threading.Event()
        self.prepare()
        self._pool = ThreadPoolExecutor(1)
        self._done: Future[None] = self._pool.submit(self.work)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._pool.shutdown()
        self._done.result()

    def prepare(self) -> None:
        """What must have happened when the block begins."""

    def work(self) -> None:
        """Until `stopping` is set."""
        raise NotImplementedError
