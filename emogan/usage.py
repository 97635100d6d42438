"""The help text of a command: its description, examples, and its flags in groups. Public names: HelpFlag, usage, is_required.

absl's own help is a single alphabetical list of all flags.
"""

import itertools
import os
import sys
from collections.abc import Iterable

from absl import flags

from emogan.path_flags import PathParser

_INDENT = "      "


class HelpFlag(flags.BooleanFlag):
    """--help and -?: prints `usage` and exits."""

    def __init__(self) -> None:
        super().__init__("help", False, "show this help", short_name="?", allow_override=True)

    def parse(self, arguments: str | bool | None) -> None:
        """Prints the help and exits if the flag is set."""
        super().parse(arguments)
        if self.value:
            sys.stdout.buffer.write(f"{usage()}\n".encode())  # one write, for readers that close early, such as head
            sys.exit()


def usage() -> str:
    """Returns the docstring of the command's module and its flags, in the order of their definition.

    The command's own flags come first, then those of each adopted module under that module's docstring.
    """
    command = sys.modules["__main__"]
    parts = [(command.__doc__ or "").strip()]
    found = flags.FLAGS.get_key_flags_for_module(command)
    for module, group in itertools.groupby(found, key=lambda flag: flags.FLAGS.find_module_defining_flag(flag.name)):
        heading = "Flags" if module == sys.argv[0] else (sys.modules[module].__doc__ or module).strip()
        parts.append(_section(heading.removesuffix("."), group))
    return "\n\n".join(parts)


def is_required(flag: flags.Flag) -> bool:
    """Tells whether the command fails without a value for the flag."""
    return not all(validator.checker(None) for validator in flag.validators)


def _section(heading: str, group: Iterable[flags.Flag]) -> str:
    return "\n".join([f"{heading}:", *map(_entry, group)])


def _entry(flag: flags.Flag) -> str:
    name, about = f"  --{'[no]' if flag.boolean else ''}{flag.name}", flag.help
    if isinstance(flag.parser, flags.EnumParser):
        choices = f"<{'|'.join(flag.parser.enum_values)}>"
        name, about = f"{name}={choices}", about.removeprefix(f"{choices}: ")
    if is_required(flag):
        about += " (required)"
    elif flag.default not in (None, "", []):
        default = os.path.relpath(flag.default) if isinstance(flag.parser, PathParser) else flag.default_as_str[1:-1]
        about += f" (default: {default})"
    return f"{name}\n{flags.text_wrap(about, indent=_INDENT)}"
