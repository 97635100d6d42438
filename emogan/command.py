"""What every command shares: `run`, which starts a main and shows a user's mistake as one line."""

import logging
import os
import sys
import warnings
from collections.abc import Callable

from absl import app

from emogan.errors import UserError


def run(main: Callable[[list[str]], None]) -> None:
    """Parses the command line and calls `main`; a UserError is printed without frames, and the exit code is then 2."""
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
        except KeyboardInterrupt:
            sys.stderr.write("\nstopped; start the same command again to go on\n")
            sys.exit(130)

    app.run(guarded)


def _complain(message: str) -> int:
    sys.stderr.write(f"error: {message}\n")
    return 2
