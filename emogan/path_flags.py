"""Flags that take paths, in one way for all commands: `DEFINE_path`, `DEFINE_paths`.

`~` is the home folder, and a relative path is made absolute when it is read, before another process or host sees it.
"""

from pathlib import Path

from absl import flags

flags.disclaim_key_flags()  # they belong to the module that calls


class PathParser(flags.ArgumentParser):
    """Makes a path absolute; leaves nothing, and an address such as https://host/name, as it is."""

    syntactic_help = "a path"

    def parse(self, argument: str) -> str:
        """Returns the absolute path."""
        return argument if not argument or "://" in argument else str(_expanded(argument).absolute())


class _PathsParser(flags.ListParser):
    def parse(self, argument: str | list[str]) -> list[str]:
        return [PathParser().parse(path) for path in super().parse(argument)]


def DEFINE_path(name: str, default: str | None, help: str, *, required: bool = False) -> flags.FlagHolder:
    """A flag that takes a path; its value is absolute."""
    serializer = flags.ArgumentSerializer()
    return flags.DEFINE(PathParser(), name, default, help, serializer=serializer, required=required)


def DEFINE_paths(name: str, default: str | None, help: str, *, required: bool = False) -> flags.FlagHolder:
    """A flag that takes several, with commas between them; its value is a list of absolute paths."""
    serializer = flags.CsvListSerializer(",")
    return flags.DEFINE(_PathsParser(), name, default, help, serializer=serializer, required=required)


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # there is no such home folder
        return Path(path)
