"""What every command shares: `run`, which starts a main and shows a user's mistake, a full disk or a stop as one line.

Public names: run, start_anew, quiet, cpu_count, postponed_stop, is_full_disk.
"""

import atexit
import contextlib
import errno
import gc
import io
import logging
import os
import re
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from types import FrameType

from absl import app, flags
from absl import logging as absl_logging

from emogan.errors import Stopped, UserError
from emogan.usage import HelpFlag, is_required

_GO_ON = "start the same command again to go on"
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
DEVELOPERS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
"""Warnings for those who develop with a library."""


def run(main: Callable[[list[str]], None], *, arguments: bool = False) -> None:
    """Parses the command line and calls `main`; where it takes `arguments` behind the flags, they follow the command's name.

    A UserError or a full disk is one line without frames, exit code 2. So is SIGTERM or Ctrl-C, exit code 143 or 130.
    """
    quiet()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for names that the terminal's encoding does not have
    app.define_help_flags()
    flags.DEFINE_flag(HelpFlag())  # instead of absl's
    atexit.register(gc.freeze)  # Python's last collection can take half a minute over many traced graphs, for nothing

    def guarded(argv: list[str]) -> None:
        if len(argv) > 1 and not arguments:
            sys.exit(_complain(f"unexpected argument {argv[1]!r}; every setting is a flag, see --help"))
        for number in _SIGNALS:
            signal.signal(number, _stop)
        try:
            _give_place_for_caches()
            main(argv)
        except Stopped as stopped:
            sys.stderr.write(f"\n{stopped}\n")
            sys.exit(128 + stopped.number)
        except UserError as error:
            sys.exit(_complain(str(error)))
        except Exception as error:
            if not is_full_disk(error):
                raise
            sys.exit(_complain(f"no space is left on the disk ({error}); free some, and {_GO_ON}"))

    app.run(guarded, flags_parser=_parse)


def _parse(argv: list[str]) -> list[str]:
    try:
        return flags.FLAGS(_with_shipped_flagfiles(argv))
    except flags.Error as error:
        known = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
        missing = [f"--{flag.name}" for flag in known if flag.value is None and is_required(flag)]
        said = f"{', '.join(missing)} must be given" if "other than None" in str(error) else str(error)
        sys.exit(_complain(f"{said} (--help tells of all flags)"))


def _with_shipped_flagfiles(argv: Sequence[str]) -> list[str]:
    """Names flagfiles that are not there, but are shipped with the command in `configs`, by the path where they are."""
    package, found = sys.modules["__main__"].__package__, list(argv)
    configs = resources.files(package) / "configs" if package else None
    for number, argument in enumerate(argv):
        given = re.fullmatch(r"(--?flagfile=)(.+)", argument)
        if number and re.fullmatch(r"--?flagfile", argv[number - 1]):
            given = re.fullmatch(r"()(.+)", argument)
        if configs and given and not Path(given[2]).expanduser().exists():
            shipped = configs / Path(given[2]).name
            found[number] = f"{given[1]}{shipped}" if shipped.is_file() else argument
    return found


def cpu_count() -> int:
    """The number of CPUs that this process may use: of the machine's those that taskset or a container leave to it."""
    import joblib  # which takes long to import

    return joblib.cpu_count()


def quiet() -> None:
    """Silences what libraries say of their own doings; to be called before they are imported, in every process.

    Warnings of our own code are UserWarnings, which show.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no notes on GPUs that are not there; set 0 to see all
    absl_logging.set_verbosity(absl_logging.ERROR)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if sys.warnoptions:  # as the user wants it, or the process that started this one
        return
    messages = "pkg_resources is deprecated", "IProgress not found"  # of tensorflow-hub and, in notebooks, tqdm
    for category in DEVELOPERS:
        warnings.simplefilter("ignore", category)
    for message in messages:
        warnings.filterwarnings("ignore", message=message)
    filters = [*(f"ignore::{category.__name__}" for category in DEVELOPERS), *(f"ignore:{one}" for one in messages)]
    os.environ["PYTHONWARNINGS"] = ",".join(filters)  # of processes that this one starts


_before: dict[str, str | None] = {}
"""What variables of the environment were before this process was given folders by them."""
_lent: list[str] = []
"""Folders that last as long as this process."""


def _give_place_for_caches() -> None:
    """Before libraries are imported that keep things at home: where there is no home that can be written to (a container with
    another user, say), they get one until this process ends.

    Raises:
        UserError: where there is no place for temporary files, which checkpoints need too.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise UserError(
            f"temporary files cannot be written anywhere ({error.strerror}); name a folder for them in the environment "
            "variable TMPDIR"
        ) from error
    atexit.register(_take_back)
    home = os.path.expanduser("~")  # noqa: PTH111, since pathlib raises where it is unknown
    if home == "~" or not _takes_files(home):
        home = _use("HOME", _lend())
    caches = os.environ.get("XDG_CACHE_HOME") or f"{home}/.cache"
    if not _takes_files(caches):
        caches = _use("XDG_CACHE_HOME", _lend())
    settings = os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    given = os.environ.get("MPLCONFIGDIR")  # which holds both for matplotlib
    usual = [given] if given else [f"{settings}/matplotlib", f"{caches}/matplotlib"]
    if not all(map(_takes_files, usual)):
        _use("MPLCONFIGDIR", usual[-1] if _takes_files(usual[-1]) else _lend())


def _lend() -> str:
    _lent.append(tempfile.mkdtemp(prefix="emogan-home-"))
    return _lent[-1]


def _use(variable: str, folder: str) -> str:
    _before.setdefault(variable, os.environ.get(variable))
    os.environ[variable] = folder
    return folder


def _take_back() -> None:
    for variable, value in _before.items():
        os.environ.pop(variable)
        os.environ |= {variable: value} if value is not None else {}
    for folder in _lent:
        shutil.rmtree(folder, ignore_errors=True)
    _before.clear()
    _lent.clear()


def start_anew() -> None:
    """Starts this command again in the place of this process, as it was started; what was lent to it is taken back."""
    _take_back()
    sys.stdout.flush()
    os.execv(sys.executable, sys.orig_argv)


def _takes_files(folder: str) -> bool:
    """Whether files can be made in a folder, or the folder itself where it is not there."""
    folder = os.path.abspath(folder)  # noqa: PTH100
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)  # noqa: PTH120, since pathlib raises where it may not look
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _stop(number: int, _: FrameType | None) -> None:
    raise Stopped(f"stopped by {signal.Signals(number).name}; {_GO_ON}", number)


class StopRequest:
    """Whether a signal came: its number, or 0."""

    number = 0

    def check(self, state: str) -> None:
        """Raises Stopped if one came; `state` says what was reached and kept."""
        if self.number:
            raise Stopped(f"stopped by {signal.Signals(self.number).name}, {state}; {_GO_ON}", self.number)


@contextlib.contextmanager
def postponed_stop() -> Iterator[StopRequest]:
    """While it lasts, a first SIGTERM or Ctrl-C is only noted, so that a step can be ended; a second one stops at once."""
    request, before = StopRequest(), {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, _: FrameType | None) -> None:
        request.number = number
        restore()

    for number in _SIGNALS:
        signal.signal(number, note)
    try:
        yield request
    finally:
        restore()


def is_full_disk(error: BaseException | None) -> bool:
    """Tells whether a full disk or quota is behind an error; TensorFlow, TFDS and Beam keep only the system's words for it."""
    words = [os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT)]
    while error is not None:
        if any(text in str(error) for text in words):
            return True
        error = error.__cause__ or error.__context__
    return False


def _complain(message: str) -> int:
    sys.stderr.write(f"error: {message}\n")
    return 2
