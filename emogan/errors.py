"""Exceptions: `UserError` and its subclasses `NoResult` and `Diverged`, `Stopped`, and `MediaError`.

`check` raises a UserError; `first_ones` shortens a list for a message.
"""

from collections.abc import Sequence
from pathlib import Path

SHOWN = 10
"""Number of items of a long list that a message shows."""


class UserError(ValueError):
    """Invalid input by the user. The message states the value, the rule and the remedy.

    Commands print only the message, without a traceback, and exit with code 2.
    """


class NoResult(UserError):
    """A run with valid settings produced an unusable GAN; the other runs of a study continue."""


class Diverged(NoResult):
    """A training metric became NaN or infinite."""


class MediaError(Exception):
    """A file that cannot be used.

    Attributes:
        path: the file.
        reason: a stable snake_case identifier, under which the clip is counted.
        detail: a description of the fault for people, without the path.
    """

    def __init__(self, path: Path, reason: str, detail: str) -> None:
        super().__init__(f"{path}: {reason}: {detail}")
        self.path = path
        self.reason = reason
        self.detail = detail


class Stopped(BaseException):
    """The command stops because of a signal. The message says how to resume it.

    Commands print only the message and exit with code 128 + `number`, the convention of shells.

    Args:
        message: see above.
        number: the number of the signal.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


def check(condition: bool, message: str) -> None:
    """Raises UserError with the message unless the condition holds."""
    if not condition:
        raise UserError(message)


def first_ones(names: Sequence[str], between: str = ", ") -> str:
    """Joins the first `SHOWN` names, and adds the number of further ones."""
    more = [f"and {len(names) - SHOWN:,} more"] if len(names) > SHOWN else []
    return between.join([*names[:SHOWN], *more])
