"""What every command shares: `run`, which starts a main and shows a user's mistake, or a full disk, as one line.

Public names: run, is_full_disk.
"""

import errno
import logging
import os
import sys
import warnings
from collections.abc import Callable

from absl import app

from emogan.errors import UserError


def run(main: Callable[[list[str]], None]) -> None:
    """Parses the command line and calls `main`; a UserError or a full disk is one line without frames, exit code 2."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no notes on GPUs that are not there; set 0 to see all
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")  # tensorflow-hub's
    warnings.filterwarnings(
        "ignore", message="You are using a Python version", category=FutureWarning
    )  # google-api-core's

    def guarded(argv: list[str]) -> None:
        if len(argv) > 1:
            sys.exit(_complain(f"unexpected argument {argv[1]!r}; every setting is a flag, see --help"))
        try:
            main(argv)
        except UserError as error:
            sys.exit(_complain(str(error)))
        except Exception as error:
            if not is_full_disk(error):
                raise
            remedy = "free some, and run the same command again, which goes on where it stopped"
            sys.exit(_complain(f"no space is left on the disk ({error}); {remedy}"))
        except KeyboardInterrupt:
            sys.stderr.write("\nstopped; start the same command again to go on\n")
            sys.exit(130)

    app.run(guarded)


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
