"""Runs commands in forks of a process that has imported the libraries, which takes longer than most commands.

A fork has its own arguments, streams and exit code, as a command that is started by `python -m`. Public name: Forks.
"""

import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

LIBRARIES = ("datasets.validation", "emogan.generation", "emogan.recogniser", "trainers.study.running")
"""Modules that import all libraries. None defines flags: they would clash with those of a command."""


class Forks:
    """A process that runs commands, one at a time.

    Args:
        folder: the working directory of the commands.
    """

    def __init__(self, folder: Path) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder
        )

    def run(self, module: str, *flags: str) -> subprocess.CompletedProcess:
        """Runs `python -m module flags`, and returns its exit code and what it printed."""
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder, name) for name in ("stdout", "stderr")]
            print(json.dumps([module, flags, *map(str, paths)]), file=self._server.stdin, flush=True)
            code = int(self._server.stdout.readline())
            return subprocess.CompletedProcess(
                [module, *flags], code, *(path.read_text("utf-8", "surrogateescape") for path in paths)
            )

    def close(self) -> None:
        """Ends the process."""
        self._server.communicate()


def _serve() -> None:
    sys.path[0] = str(Path.cwd())
    importlib.import_module("emogan.command").quiet()  # as a command before it imports the libraries
    for name in LIBRARIES:
        importlib.import_module(name)
    for line in sys.stdin:
        module, flags, *outputs = json.loads(line)
        if not os.fork():
            for number, path in enumerate([os.devnull, *outputs]):
                os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
            sys.argv = [module, *flags]
            sys.orig_argv = [sys.executable, "-m", *sys.argv]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            return
        print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)


if __name__ == "__main__":
    _serve()
