"""Wake-ups from the kernel: hints only, whoever is woken looks for himself and polls anyway."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from logwatch_monitis.interfaces import Events
from logwatch_monitis.sources.files.events import WatchFailed, WatchRestored

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

__all__ = ["Watcher"]

_JOIN_SECONDS = 2.0

# Neither opening nor closing is among them: our own reading would wake us, without end.
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
]


class _WakeHandler(FileSystemEventHandler):
    """Wakes; never raises, because that would end watchdog's thread.

    Attributes:
        stale: a directory went away. The one made in its place may well have its inode, so this
            is all there is to know it by.
    """

    def __init__(
        self, wake: Callable[[], None], concerns: Callable[[str], bool], lost: Callable[[], None]
    ) -> None:
        self._wake = wake
        self._concerns = concerns
        self._lost = lost
        self.stale = False

    def dispatch(self, event: FileSystemEvent) -> None:
        """Wake if *event* may mean new lines."""
        with contextlib.suppress(Exception):
            self.stale |= isinstance(event, DirDeletedEvent)
            concerned = [self._concerns(path) for path in _paths(event)]
            if event.is_directory:
                self._lost()
            if event.is_directory or any(concerned):
                self._wake()


def _paths(event: FileSystemEvent) -> list[str]:
    return [str(path) for path in (event.src_path, event.dest_path) if path]


class Watcher:
    """Calls *wake* soon after something changed in one of the directories.

    It may miss changes and it may wake for nothing. `check`, called with every slow poll, keeps
    it going: it starts a dead observer again, and follows directories that were removed, made
    anew or mounted over. Without inotify it does nothing, and says so once.
    """

    def __init__(
        self,
        wake: Callable[[], None],
        events: Events,
        concerns: Callable[[str], bool] = lambda path: True,  # noqa: ARG005 - the default asks nothing
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; `watch` starts it.

        Args:
            wake: called from another thread; must not block.
            events: told when watching fails, and when it works again.
            concerns: tells whether a change of the file at this path is worth waking for; called
                from another thread, for each path of each event.
            lost: called before a wake-up that no path explains: anything may have changed.
        """
        self._handler = _WakeHandler(wake, concerns, lost)
        self._lost = lost
        self._wake = wake
        self._events = events
        self._directories: set[Path] = set()
        self._watched: dict[Path, tuple[int, int]] = {}
        self._observer: BaseObserver | None = None
        self._failed = False

    def watch(self, directories: set[Path]) -> None:
        """Watch these directories from now on; of one that is missing, its nearest parent."""
        self._directories = set(directories)
        self.check()

    def check(self) -> None:
        """See to it that the right directories are watched and the threads are alive."""
        wanted = _existing(self._directories)
        if self._healthy() and wanted == self._watched:
            return
        self.close()
        self._handler.stale = False
        if self._start(wanted):
            self._lost()
            self._wake()

    @property
    def working(self) -> bool:
        """Whether events tell of changes."""
        return self._observer is not None and self._healthy()

    def close(self) -> None:
        """Stop watching."""
        observer, self._observer = self._observer, None
        self._watched = {}
        if observer:
            with contextlib.suppress(Exception):  # its threads may be dead in any way
                observer.stop()
                observer.join(_JOIN_SECONDS)

    def _healthy(self) -> bool:
        observer = self._observer
        if observer is None:
            return not self._directories
        if self._handler.stale:
            return False
        return observer.is_alive() and all(emitter.is_alive() for emitter in observer.emitters)

    def _start(self, wanted: dict[Path, tuple[int, int]]) -> bool:
        observer: BaseObserver | None = None
        try:
            observer = Observer()  # may ask the kernel for its inotify instance already
            for directory in wanted:
                observer.schedule(self._handler, str(directory), event_filter=_EVENTS)
            observer.start()
        except Exception as error:  # noqa: BLE001 - polling goes on, whatever is wrong with it
            self._fail(error)
            if observer:
                with contextlib.suppress(Exception):
                    observer.stop()
            return False
        self._observer = observer
        self._watched = wanted
        if self._failed:
            self._failed = False
            self._events(WatchRestored())
        return True

    def _fail(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            self._events(WatchFailed(str(error) or type(error).__name__))


def _existing(directories: set[Path]) -> dict[Path, tuple[int, int]]:
    """Return the directories, or their nearest existing parents, with device and inode."""
    found = {}
    for directory in directories:
        for path in (directory, *directory.parents):
            with contextlib.suppress(OSError):
                status = path.stat()
                found[path] = status.st_dev, status.st_ino
                break
    return found
