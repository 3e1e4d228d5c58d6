"""Wake-ups by a real watchdog, and what keeps it going (torture.md C41 to C49)."""

import errno
import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from watchdog.observers.api import BaseObserver

from logwatch_monitis.interfaces import ThreadWaker
from logwatch_monitis.sources.files.events import WatchFailed, WatchRestored
from logwatch_monitis.sources.files.watcher import Watcher

SOON = 5.0
NEVER = 0.3


class Watch:
    """A watcher of one directory, and the waker it wakes."""

    def __init__(self, directory, concerns=None):
        self.directory = directory
        self.waker = ThreadWaker()
        self.events = []
        extra = {"concerns": concerns} if concerns else {}
        self.watcher = Watcher(self.waker.wake, self.events.append, **extra)
        self.watcher.watch({directory})
        self.quiet()

    def quiet(self):
        """Wait until no wake-up comes any more."""
        while self.waker.wait(NEVER):
            pass

    def wakes(self, action):
        """Tell whether *action* wakes."""
        self.quiet()
        action()
        return self.waker.wait(SOON)

    def stays_asleep(self, action):
        """Tell whether *action* does not wake."""
        self.quiet()
        action()
        return not self.waker.wait(NEVER)


@pytest.fixture(name="watch")
def _watch(tmp_path):
    """A directory with a log, watched."""
    (tmp_path / "auth.log").write_text("a\n")
    watch = Watch(tmp_path)
    yield watch
    watch.watcher.close()


def append(path):
    """Write a line."""
    with path.open("a") as file:
        file.write("x\n")


def test_changes_wake(watch):
    """Writing, making, renaming and removing do."""
    log = watch.directory / "auth.log"

    assert watch.wakes(lambda: append(log))
    assert watch.wakes(lambda: log.rename(f"{log}.1"))
    assert watch.wakes(lambda: log.write_text(""))
    assert watch.wakes(log.unlink)


def test_c49_reading_does_not_wake(watch):
    """Nor does opening and closing: our own looks would wake us for ever."""
    log = watch.directory / "auth.log"

    assert watch.stays_asleep(
        lambda: log.read_text() + str(log.stat()) + str(os.listdir(log.parent))
    )


def test_only_what_concerns_wakes(tmp_path):
    """Other files of a busy directory do not wake."""
    watch = Watch(tmp_path, concerns=lambda path: path.endswith("auth.log"))

    assert watch.stays_asleep(lambda: append(tmp_path / "syslog"))
    assert watch.wakes(lambda: append(tmp_path / "auth.log"))

    watch.watcher.close()


@pytest.mark.parametrize("again", [False, True])
def test_c43_directory_removed_and_made_anew(watch, again):
    """The next check follows the new one, though it may have the old one's inode."""
    watch.directory.joinpath("auth.log").unlink()
    watch.directory.rmdir()
    if again:
        watch.quiet()
        watch.watcher.check()
    watch.directory.mkdir()
    watch.quiet()
    watch.watcher.check()

    assert watch.wakes(lambda: append(watch.directory / "auth.log"))


def test_c43_directory_replaced_by_another(watch):
    """A directory moved away is watched no more; the one in its place is."""
    watch.directory.rename(f"{watch.directory}-away")
    watch.directory.mkdir()
    watch.watcher.check()

    assert watch.stays_asleep(lambda: append(Path(f"{watch.directory}-away/auth.log")))
    assert watch.wakes(lambda: append(watch.directory / "auth.log"))

    shutil.rmtree(f"{watch.directory}-away")


def test_c45_directory_that_comes_later(tmp_path):
    """Until it is there its nearest parent is watched, and its coming wakes."""
    later = tmp_path / "one" / "two"
    watch = Watch(later)

    assert watch.wakes(later.parent.mkdir)

    watch.watcher.check()

    assert watch.wakes(later.mkdir)

    watch.watcher.check()

    assert watch.wakes(lambda: append(later / "auth.log"))

    watch.watcher.close()


@pytest.mark.parametrize("part", ["observer", "emitter"])
def test_c42_dead_thread_is_replaced(watch, part):
    """The next check finds it and starts anew."""
    observer = watch.watcher._observer
    dead = observer if part == "observer" else next(iter(observer.emitters))
    dead.stop()
    dead.join(SOON)
    watch.watcher.check()

    assert watch.wakes(lambda: append(watch.directory / "auth.log"))


def test_c42_wake_that_raises(tmp_path):
    """It does not end watchdog's thread."""
    raised = threading.Event()

    def wake():
        raised.set()
        raise RuntimeError

    watcher = Watcher(wake, print)
    with pytest.raises(RuntimeError):
        watcher.watch({tmp_path})
    append(tmp_path / "auth.log")

    assert raised.wait(SOON)
    assert watcher._healthy()

    watcher.close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOSPC])
def test_c47_inotify_limits(watch, monkeypatch, number):
    """Without inotify it says so once and does no harm; when it can, it watches again."""

    def refuse(self, *args, **kwargs):
        raise OSError(number, "inotify limit reached")

    monkeypatch.setattr(BaseObserver, "schedule", refuse)
    (watch.directory / "new").mkdir()
    for _ in range(3):
        watch.watcher.watch({watch.directory / "new"})
        watch.watcher.check()

    assert [WatchFailed] == [type(event) for event in watch.events]
    assert watch.stays_asleep(watch.watcher.check)

    monkeypatch.undo()
    watch.watcher.watch({watch.directory})

    assert [WatchFailed, WatchRestored] == [type(event) for event in watch.events]
    assert watch.wakes(lambda: append(watch.directory / "auth.log"))


def test_an_unchanged_watch_goes_on(watch):
    """Checking what is in order restarts nothing and does not wake."""
    observer = watch.watcher._observer

    assert watch.stays_asleep(watch.watcher.check)
    assert observer is watch.watcher._observer


def test_closing_leaves_nothing_behind(tmp_path):
    """Neither threads nor descriptors."""
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        watcher = Watcher(lambda: None, print)
        watcher.watch({tmp_path})
        watcher.close()
    until = time.monotonic() + SOON
    while time.monotonic() < until and threading.active_count() > before[0]:
        os.sched_yield()

    assert before == (threading.active_count(), len(os.listdir("/proc/self/fd")))
