"""The documents, and what they are about, as text."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = {
    name: (ROOT / name).read_text()
    for name in ("README.md", "BUILD.md", "SERVING.md", "MODEL_CARD.md", "CONTRIBUTING.md")
}
TEXT = "".join(PAGES.values())
COMMANDS = sorted(set(re.findall(r"python -m ([a-z0-9_.]+)([^`\n]*)", TEXT.replace("\\\n", ""))))
MAKEFILE, SETUP = (ROOT / "Makefile").read_text(), (ROOT / "setup.py").read_text()
CODE = {path: path.read_text() for name in ("emogan", "datasets", "trainers") for path in (ROOT / name).rglob("*.py")}
