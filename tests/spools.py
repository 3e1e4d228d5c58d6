"""What the tests of the spool share: a clock to be set, events to be read, numbered logins."""

from hashlib import blake2b

from logwatch_monitis.login import Login
from logwatch_monitis.spool import Limits, Spool

DAY = 86400.0
START = 1_700_000_000.0


class SetClock:
    """A clock that stands still until it is set."""

    def __init__(self, now=START):
        self.time = now

    def now(self):
        """See `Clock.now`."""
        return self.time

    def monotonic(self):
        """See `Clock.monotonic`."""
        return self.time


class World:
    """One state directory, its clock, and what happened to it."""

    def __init__(self, directory):
        self.directory = directory
        self.path = directory / Spool.FILE
        self.clock = SetClock()
        self.events = []
        self.spools = []

    def open(self, identity="this machine", **limits):
        """Open the spool as one process would; the limits are those of `Limits`."""
        spool = Spool.open(
            self.directory,
            clock=self.clock,
            events=self.events.append,
            limits=Limits(**limits),
            identity=identity,
        )
        self.spools.append(spool)
        return spool

    def look(self):
        """Open the spool as status does."""
        spool = Spool.look(self.directory, clock=self.clock, events=self.events.append)
        self.spools.append(spool)
        return spool

    def close(self):
        """End all processes."""
        while self.spools:
            self.spools.pop().close()

    def aside(self):
        """Return what was set aside."""
        return sorted(self.directory.glob("*.damaged-*"))


def login_of(number, **changes):
    """Return a login that differs from all others in id, time and port."""
    login = Login(
        id=blake2b(str(number).encode(), digest_size=16).hexdigest(),
        time=1_700_000_000_000_000 + number,
        user_login=f"user{number}",
        host="192.0.2.7",
        srv="sshd",
        kind="login",
        machine="web1",
        program="sshd",
        pid=number,
        rule="sshd/accepted",
        fields={"method": "publickey", "command": "mysql -pSECRET"},
        path="/var/log/auth.log",
        offset=number * 100,
        line=b"Accepted publickey, the RAW line",
    )
    return login._replace(**changes)


def logins_of(*numbers):
    """Return the logins of these numbers."""
    return [login_of(number) for number in numbers]


def ids_of(*numbers):
    """Return the ids of these logins."""
    return [login_of(number).id for number in numbers]


def waiting(spool, limit=100_000):
    """Return the ids of what waits, in order of delivery."""
    return [entry.id for entry in spool.due(limit)]
