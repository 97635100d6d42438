"""What ends a command without a stack of frames: `UserError`, of which `NoResult` and `Diverged` are two, and `Stopped`.

`MediaError` is a file that cannot be used; `check` raises; `first_ones` is for messages.
"""

from collections.abc import Sequence
from pathlib import Path

SHOWN = 10
"""What a message spells out of a long list."""


class UserError(ValueError):
    """Something the user gave is wrong. The message names the value, the rule and the remedy.

    Commands print the message alone, without a stack of frames, and end with exit code 2.
    """


class NoResult(UserError):
    """A GAN is of no use in a run whose settings are sound; the others of a study go on."""


class Diverged(NoResult):
    """A figure of a training is not a number any more, so that going on makes no sense."""


class MediaError(Exception):
    """A file that cannot be used.

    Attributes:
        path: the file.
        reason: a stable snake_case word, the key under which the clip is counted.
        detail: what exactly is wrong, for people; it holds no path.
    """

    def __init__(self, path: Path, reason: str, detail: str) -> None:
        super().__init__(f"{path}: {reason}: {detail}")
        self.path = path
        self.reason = reason
        self.detail = detail


class Stopped(BaseException):
    """A signal asked the command to stop, and it is ready to. The message says where it goes on when started again.

    Commands print the message alone and end with exit code 128 + `number`, as the shell has it.

    Args:
        message: see above.
        number: of the signal.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


def check(condition: bool, message: str) -> None:
    """Raises UserError with the message unless the condition holds."""
    if not condition:
        raise UserError(message)


def first_ones(names: Sequence[str], between: str = ", ") -> str:
    """The first `SHOWN` names, and how many more there are."""
    more = [f"and {len(names) - SHOWN:,} more"] if len(names) > SHOWN else []
    return between.join([*names[:SHOWN], *more])
