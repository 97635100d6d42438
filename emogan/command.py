"""Code shared by all commands: `run` calls a main function and reports a user's mistake, a full disk or a stop in one line.

Public names: run, start_anew, quiet, provide_cache_folders, cpu_count, postponed_stop, is_full_disk.
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

_RESUME = "run the same command again to resume"
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
DEVELOPERS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
"""Warnings that address the developers of a program, not its users."""


def run(main: Callable[[list[str]], None], *, arguments: bool = False) -> None:
    """Parses the command line and calls `main` with the command's name and, if `arguments`, the positional arguments.

    A UserError or a full disk prints one line without a traceback and exits with code 2; SIGTERM gives 143, Ctrl-C 130.
    """
    quiet()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for names that the terminal cannot encode
    app.define_help_flags()
    flags.DEFINE_flag(HelpFlag())  # replaces absl's
    atexit.register(gc.freeze)  # Python's final collection of many traced graphs would take up to half a minute

    def guarded(argv: list[str]) -> None:
        if len(argv) > 1 and not arguments:
            sys.exit(_complain(f"unexpected argument {argv[1]!r}; every setting is a flag, see --help"))
        for number in _SIGNALS:
            signal.signal(number, _stop)
        try:
            provide_cache_folders()
            main(argv)
        except Stopped as stopped:
            sys.stderr.write(f"\n{stopped}\n")
            sys.exit(128 + stopped.number)
        except UserError as error:
            sys.exit(_complain(str(error)))
        except Exception as error:
            if not is_full_disk(error):
                raise
            sys.exit(_complain(f"the disk is full ({error}); free some space and {_RESUME}"))

    app.run(guarded, flags_parser=_parse)


def _parse(argv: list[str]) -> list[str]:
    try:
        return flags.FLAGS(_with_shipped_flagfiles(argv))
    except flags.Error as error:
        known = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
        missing = [f"--{flag.name}" for flag in known if flag.value is None and is_required(flag)]
        message = f"missing {', '.join(missing)}" if "other than None" in str(error) else str(error)
        sys.exit(_complain(f"{message}; --help lists all flags"))


def _with_shipped_flagfiles(argv: Sequence[str]) -> list[str]:
    """Replaces a flagfile that does not exist by the one of the same name in the `configs` folder of the command's package."""
    package, resolved = sys.modules["__main__"].__package__, list(argv)
    configs = resources.files(package) / "configs" if package else None
    for number, argument in enumerate(argv):
        match = re.fullmatch(r"(--?flagfile=)(.+)", argument)
        if number and re.fullmatch(r"--?flagfile", argv[number - 1]):
            match = re.fullmatch(r"()(.+)", argument)
        if configs and match and not Path(match[2]).expanduser().exists():
            shipped = configs / Path(match[2]).name
            resolved[number] = f"{match[1]}{shipped}" if shipped.is_file() else argument
    return resolved


def cpu_count() -> int:
    """Returns the number of CPUs that this process may use, within the limits of taskset and containers."""
    import joblib  # slow to import

    return joblib.cpu_count()


def quiet() -> None:
    """Silences log messages and developer warnings of libraries. Call it in every process, before they are imported.

    Warnings of our own code are UserWarnings, which are shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no messages about missing GPUs; 0 shows all messages
    absl_logging.set_verbosity(absl_logging.ERROR)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if sys.warnoptions:  # set by the user or the parent process
        return
    messages = "pkg_resources is deprecated", "IProgress not found"  # from tensorflow-hub and, in notebooks, tqdm
    for category in DEVELOPERS:
        warnings.simplefilter("ignore", category)
    for message in messages:
        warnings.filterwarnings("ignore", message=message)
    filters = [*(f"ignore::{category.__name__}" for category in DEVELOPERS), *(f"ignore:{one}" for one in messages)]
    os.environ["PYTHONWARNINGS"] = ",".join(filters)  # for child processes


_original_variables: dict[str, str | None] = {}
"""Values of environment variables before this process replaced them; None if unset."""
_temporary_folders: list[str] = []
"""Folders that are deleted when this process ends."""


def provide_cache_folders() -> None:
    """Points libraries to temporary folders if the home or cache folder is not writable, as in a container with another user.

    Must run before the libraries are imported. The folders are deleted when this process ends.

    Raises:
        UserError: if no folder for temporary files is writable; checkpoints need one too.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise UserError(
            f"no folder for temporary files is writable ({error.strerror}); set the environment variable TMPDIR to one"
        ) from error
    atexit.register(_restore_environment)
    home = os.path.expanduser("~")  # noqa: PTH111, pathlib raises if there is none
    if home == "~" or not _is_writable(home):
        home = _set_variable("HOME", _temporary_folder())
    caches = os.environ.get("XDG_CACHE_HOME") or f"{home}/.cache"
    if not _is_writable(caches):
        caches = _set_variable("XDG_CACHE_HOME", _temporary_folder())
    settings = os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    configured = os.environ.get("MPLCONFIGDIR")  # matplotlib's settings and cache
    folders = [configured] if configured else [f"{settings}/matplotlib", f"{caches}/matplotlib"]
    if not all(map(_is_writable, folders)):
        _set_variable("MPLCONFIGDIR", folders[-1] if _is_writable(folders[-1]) else _temporary_folder())


def _temporary_folder() -> str:
    _temporary_folders.append(tempfile.mkdtemp(prefix="emogan-home-"))
    return _temporary_folders[-1]


def _set_variable(variable: str, folder: str) -> str:
    _original_variables.setdefault(variable, os.environ.get(variable))
    os.environ[variable] = folder
    return folder


def _restore_environment() -> None:
    for variable, value in _original_variables.items():
        os.environ.pop(variable)
        os.environ |= {variable: value} if value is not None else {}
    for folder in _temporary_folders:
        shutil.rmtree(folder, ignore_errors=True)
    _original_variables.clear()
    _temporary_folders.clear()


def start_anew() -> None:
    """Replaces this process by a new run of the same command, with the original arguments and environment."""
    _restore_environment()
    sys.stdout.flush()
    os.execv(sys.executable, sys.orig_argv)


def _is_writable(folder: str) -> bool:
    """Tells whether files can be created in a folder or, if it does not exist, in its nearest existing parent."""
    folder = os.path.abspath(folder)  # noqa: PTH100
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)  # noqa: PTH120, pathlib raises without permission
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _stop(number: int, _: FrameType | None) -> None:
    raise Stopped(f"stopped by {signal.Signals(number).name}; {_RESUME}", number)


class StopRequest:
    """The signal that asked the process to stop: its number, or 0."""

    number = 0

    def check(self, state: str) -> None:
        """Raises Stopped if a signal arrived; `state` describes the progress that is saved."""
        if self.number:
            raise Stopped(f"stopped by {signal.Signals(self.number).name}, {state}; {_RESUME}", self.number)


@contextlib.contextmanager
def postponed_stop() -> Iterator[StopRequest]:
    """Records the first SIGTERM or Ctrl-C within the context, so that a step can finish; a second one stops at once."""
    request, handlers = StopRequest(), {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def record(number: int, _: FrameType | None) -> None:
        request.number = number
        restore()

    for number in _SIGNALS:
        signal.signal(number, record)
    try:
        yield request
    finally:
        restore()


def is_full_disk(error: BaseException | None) -> bool:
    """Whether a full disk or quota caused an error, by its text, because TensorFlow, TFDS and Beam preserve nothing else."""
    messages = [os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT)]
    while error is not None:
        if any(message in str(error) for message in messages):
            return True
        error = error.__cause__ or error.__context__
    return False


def _complain(message: str) -> int:
    sys.stderr.write(f"error: {message}\n")
    return 2
