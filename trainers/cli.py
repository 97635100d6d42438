"""The command `emogan` with a subcommand for each module: `emogan progressive ...` is `python -m trainers.progressive ...`.

emogan                     lists the subcommands
emogan SUBCOMMAND --help   shows the flags of a subcommand
"""

import ast
import runpy
import sys
from importlib import util
from pathlib import Path

COMMANDS = {
    "prepare": "trainers.prepare",
    "progressive": "trainers.progressive",
    "table1": "trainers.table1",
    "compare_studies": "trainers.compare_studies",
    "generate": "trainers.generate",
    "recognise": "trainers.recognise",
    "augment": "trainers.augment",
    "export": "trainers.export",
    "client": "emogan.client",
    "page": "emogan.page",
    "synthetic": "datasets.synthetic",
}
"""Subcommand to module."""


def main() -> None:
    """Runs the subcommand named by the first argument, in this process."""
    name, *rest = sys.argv[1:] or [""]
    if name not in COMMANDS:
        lines = [f"{command:16} {_about(module)}" for command, module in COMMANDS.items()]
        print(
            "\n".join(["usage: emogan SUBCOMMAND [flags]", "", *lines, "", "emogan SUBCOMMAND --help shows its flags"])
        )
        sys.exit(0 if name in ("", "--help", "-h", "help") else f"error: unknown subcommand {name!r}")
    sys.argv = [name, *rest]
    runpy.run_module(COMMANDS[name], run_name="__main__", alter_sys=True)


def _about(module: str) -> str:
    """The first line of a module's docstring. Does not import the module, which would take seconds."""
    spec = util.find_spec(module)
    assert spec is not None
    assert spec.origin
    return (ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or "").partition("\n")[0]


if __name__ == "__main__":
    main()
