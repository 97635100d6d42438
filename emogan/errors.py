"""The one error that a user's mistake raises: `UserError`."""


class UserError(ValueError):
    """Something the user gave is wrong. The message names the value, the rule and the remedy.

    Commands print the message alone, without a stack of frames, and end with exit code 2.
    """
