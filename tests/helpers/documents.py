"""The text of the documents, and of the files that they describe."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_NAMES = ("README.md", "BUILD.md", "SERVING.md", "MODEL_CARD.md", "CONTRIBUTING.md")
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (*(ROOT / name for name in _NAMES), *sorted((ROOT / "docs").glob("*.md")))
}
TEXT = "".join(PAGES.values())
COMMANDS = sorted(set(re.findall(r"python -m ([a-z0-9_.]+)([^`\n]*)", TEXT.replace("\\\n", ""))))
MAKEFILE, SETUP = (ROOT / "Makefile").read_text(), (ROOT / "setup.py").read_text()
CODE = {path: path.read_text() for name in ("emogan", "datasets", "trainers") for path in (ROOT / name).rglob("*.py")}
