"""``setup``: makes the agent a service of this machine, and undoes it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from logwatch_monitis.cli.options import PATH, PROGRAM, Command, config_option, say, tell
from logwatch_monitis.config import install as installing
from logwatch_monitis.config.credentials import Credential, Secret, read_secret_file
from logwatch_monitis.config.file import load
from logwatch_monitis.config.install import API_KEY, CONFIG, SECRET_KEY, UNIT, Tree, WantedFile
from logwatch_monitis.config.model import DEFAULT_FILES, EMBEDDED, Config
from logwatch_monitis.config.small_files import read_small
from logwatch_monitis.errors import LogwatchError, NotPermittedError, UnreachableError, UsageError


@dataclass(frozen=True, slots=True)
class _Choice:
    """What was asked for."""

    url: str
    text: bytes
    keys: tuple[Secret, Secret] | None


@click.command(cls=Command, example="logwatch-monitis setup --root /var/lib/image --yes --no-start")
@config_option
@click.option("--url", metavar="URL", help="The monitor's address, or 'embedded'.")
@click.option("--api-key-file", metavar="FILE", type=PATH, help="File with the public key.")
@click.option("--secret-key-file", metavar="FILE", type=PATH, help="File with the secret key.")
@click.option("--log", "logs", metavar="FILE", multiple=True, help="A log to watch; repeatable.")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing; what is not given is the default.")
@click.option("--offline", is_flag=True, help="Do not try the keys.")
@click.option("--no-start", is_flag=True, help="Write the files only.")
@click.option("--root", metavar="DIR", type=PATH, default="/", help="A tree to write below.")
@click.option("--remove", is_flag=True, help="Stop the service and take away what was written.")
@click.option("--purge", is_flag=True, help="With --remove: edited files and the state, too.")
def command(
    config_path: str | None,
    *,
    url: str | None,
    api_key_file: str | None,
    secret_key_file: str | None,
    logs: Sequence[str],
    yes: bool,
    offline: bool,
    no_start: bool,
    root: str,
    remove: bool,
    purge: bool,
) -> int:
    """Make the agent a service of this machine, or undo it.

    Asks which monitor and which logs, tries the keys, writes configuration, keys and unit, starts
    it and prints the page's address. What a person has edited is left as it is and named, with exit
    code 1. With -c that file is installed as the configuration.
    """
    if purge and not remove:
        raise UsageError("--purge goes with --remove")
    if config_path and (url or logs):
        raise UsageError("-c excludes --url and --log", "the file says both")
    own = Path(root).resolve() == Path("/")
    if own and os.geteuid() != 0:
        line = f"{installing.own_program(hidden=True)} {shlex.join(sys.argv[1:])}"
        raise NotPermittedError("only root can set this machine up", f"sudo {line}")
    tree, running = Tree(Path(root)), own and not no_start and installing.has_systemd()
    if remove:
        return _remove(tree, running=own and installing.has_systemd(), purge=purge)
    program = installing.own_program(hidden=not own)
    interactive = not yes and sys.stdin.isatty()
    if not interactive and not yes and not url and not config_path:
        raise UsageError("no terminal to ask on", "give --url, or --yes for the defaults")
    choice = _choose(config_path, url, (api_key_file, secret_key_file), logs, ask=interactive)
    if choice.keys and not offline:
        _try(choice.url, choice.keys)
    return _install(tree, choice, program, running=running)


def _choose(
    path: str | None,
    url: str | None,
    key_files: tuple[str | None, str | None],
    logs: Sequence[str],
    *,
    ask: bool,
) -> _Choice:
    loaded = load(path) if path else Config()
    if path:
        url = loaded.monitor.url
    elif not url:
        asked = "Monitor: 'embedded', or the address of another one"
        url = click.prompt(asked, default=EMBEDDED) if ask else EMBEDDED
    keys = None if url == EMBEDDED else _keys(loaded, key_files, ask=ask)
    if path:
        return _Choice(str(url), read_small(path), keys)
    if not logs and ask:
        logs = shlex.split(click.prompt("Logs to watch", default=shlex.join(DEFAULT_FILES)))
    text = installing.configuration_text(str(url), logs or DEFAULT_FILES, keys=bool(keys))
    return _Choice(str(url), text.encode(), keys)


def _keys(
    loaded: Config, key_files: tuple[str | None, str | None], *, ask: bool
) -> tuple[Secret, Secret]:
    monitor = loaded.monitor
    public, secret = (
        _key(credential, file, hide=hide, ask=ask)
        for credential, file, hide in zip(
            (monitor.api_key, monitor.secret_key), key_files, (False, True), strict=True
        )
    )
    return public, secret


def _key(credential: Credential, file: str | None, *, hide: bool, ask: bool) -> Secret:
    if file:
        return read_secret_file(file)
    found = credential.find()
    if found or not ask:
        option = f"--{credential.name}-file"
        if not found:
            raise UsageError(f"{option} is missing", "a monitor elsewhere needs both keys")
        return found
    asked = f"Its {credential.name.replace('-', ' ')}"
    return Secret(click.prompt(asked, hide_input=hide).strip())


def _try(url: str, keys: tuple[Secret, Secret]) -> None:
    """Ask the monitor whether it takes the keys.

    Raises:
        MonitorError: it does not, or cannot be reached.
    """
    from logwatch_monitis.cli.client import try_keys

    try:
        tried = try_keys(url, *keys)
    except UnreachableError as error:
        hint = "--offline writes everything without trying the keys"
        raise UnreachableError(error.message, hint) from None
    say(f"{url} takes {'both keys' if tried else 'the api key; the secret key is not tried'}")


def _install(tree: Tree, choice: _Choice, program: str, *, running: bool) -> int:
    wanted = [WantedFile(CONFIG, choice.text)]
    if choice.keys:
        named = zip((API_KEY, SECRET_KEY), choice.keys, strict=True)
        wanted += [installing.key_file(path, key) for path, key in named]
    if not installing.is_packaged(tree):
        wanted.append(WantedFile(UNIT, installing.unit_text(program).encode()))
    done = tree.install(wanted)
    for path in done.changed:
        tell(f"wrote {tree.path(path)}")
    for path in done.left:
        say(f"left as it is, it was not written by setup or edited since: {tree.path(path)}")
    if not done.changed and not done.left:
        tell("nothing to change")
    if running:
        installing.start(again=bool(done.changed))
        tell(f"{PROGRAM} runs; {_page()}")
    else:
        tell("not started; where systemd runs: systemctl daemon-reload")
        tell(f"  and: systemctl enable --now {PROGRAM}; without it: {program} run")
    return 1 if done.left else 0


def _page() -> str:
    """Return where the page of the service is."""
    from logwatch_monitis.cli.running_agent import ask_agent
    from logwatch_monitis.text import visible

    configuration = load(CONFIG)
    try:
        monitor = ask_agent(configuration.state_directory, "status").status["monitor"]
    except LogwatchError:
        return f"'{PROGRAM} status' shows what it does"
    return f"its page: {visible(monitor['page'] or monitor['url'])}"


def _remove(tree: Tree, *, running: bool, purge: bool) -> int:
    if running:
        installing.stop()
    done = tree.remove(purge=purge)
    if running:
        installing.reload_units()
    for path in done.changed:
        tell(f"removed {tree.path(path)}")
    for path in done.left:
        say(f"left, it was edited (--purge removes it): {tree.path(path)}")
    if not done.changed and not done.left:
        tell("nothing to remove")
    return 1 if done.left else 0
