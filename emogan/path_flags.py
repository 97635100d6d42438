"""Flags whose values are paths: `DEFINE_path`, `DEFINE_paths`.

`~` is the home folder. A relative path becomes absolute when the flag is parsed, before another process or host reads it.
"""

from pathlib import Path

from absl import flags

flags.disclaim_key_flags()  # the flags belong to the calling module


class PathParser(flags.ArgumentParser):
    """Makes a path absolute; keeps an empty value, and an address such as https://host/name, unchanged."""

    syntactic_help = "a path"

    def parse(self, argument: str) -> str:
        """Returns the absolute path."""
        return argument if not argument or "://" in argument else str(_expanded(argument).absolute())


class _PathsParser(flags.ListParser):
    def parse(self, argument: str | list[str]) -> list[str]:
        return [PathParser().parse(path) for path in super().parse(argument)]


def DEFINE_path(name: str, default: str | None, help: str, *, required: bool = False) -> flags.FlagHolder:
    """Defines a flag whose value is an absolute path."""
    serializer = flags.ArgumentSerializer()
    return flags.DEFINE(PathParser(), name, default, help, serializer=serializer, required=required)


def DEFINE_paths(name: str, default: str | None, help: str, *, required: bool = False) -> flags.FlagHolder:
    """Defines a flag with comma-separated paths, whose value is a list of absolute paths."""
    serializer = flags.CsvListSerializer(",")
    return flags.DEFINE(_PathsParser(), name, default, help, serializer=serializer, required=required)


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such home folder
        return Path(path)
