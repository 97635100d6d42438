"""Makes the pages of the reference: one for each module, and before them one that lists all modules and their public names."""

import ast
import itertools
import re
from pathlib import Path
from typing import Any

import griffe
from markdown import Markdown
from markdown.extensions import Extension
from properdocs.config.defaults import ProperDocsConfig
from properdocs.structure.files import File, Files
from properdocs.structure.pages import Page
from pygments.formatters import HtmlFormatter

ROOT = Path(__file__).parent.parent


def _modules(package: str) -> dict[str, Path]:
    paths = [path for path in (ROOT / package).rglob("*.py") if not path.stem.endswith("_test")]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return dict(sorted(zip(names, paths, strict=True)))


MODULES = {package: _modules(package) for package in ("emogan", "datasets", "trainers")}
"""The file of each module, by its package and name."""


class PlainText(Extension):
    """Takes `<` for what it is; Markdown would drop `<photo>.png` as a tag of HTML that it does not know."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Called by Markdown."""
        md.preprocessors.deregister("html_block")
        md.inlinePatterns.deregister("html")


class Docstrings(griffe.Extension):
    """Makes links of names like `emogan.faces.align`, and code of the command lines that `--help` prints."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called by griffe."""
        if obj.docstring:
            text = re.sub(rf"`((?:{'|'.join(MODULES)})(?:\.\w+)+)`", r"[`\1`][\1]", obj.docstring.value)
            obj.docstring.value = re.sub(r"(?m)^(python -m .*(?:\npython -m .*)*)", r"```sh\n\1\n```", text)


def on_config(config: ProperDocsConfig) -> ProperDocsConfig:
    """Called by ProperDocs."""
    config.markdown_extensions.append(PlainText())
    config.nav = [{"All names": "index.md"}]
    config.nav += [{package: [{name: f"{name}.md"} for name in names]} for package, names in MODULES.items()]
    return config


def on_files(files: Files, config: ProperDocsConfig) -> Files:
    """Called by ProperDocs: adds the pages of the modules, which lie in no folder."""
    for name in itertools.chain(*MODULES.values()):
        files.append(File.generated(config, f"{name}.md", content=f"::: {name}\n"))
    files.append(File.generated(config, "pygments.css", content=HtmlFormatter().get_style_defs(".highlight")))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Called by ProperDocs: puts all names below what the first page says."""
    if not page.is_homepage:
        return markdown
    lines = [
        [f"\n## Package {package}\n", *itertools.starmap(_entry, names.items())] for package, names in MODULES.items()
    ]
    return "\n".join([markdown, *itertools.chain(*lines)])


def _entry(name: str, path: Path) -> str:
    """A module, the first paragraph of its docstring, and the names of its public functions and classes."""
    module = ast.parse(path.read_text())
    about = (ast.get_docstring(module) or "").split("\n\n")[0].replace("\n", " ")
    defined = [node.name for node in module.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    names = [f"[{public}][{name}.{public}]" for public in defined if not public.startswith("_")]
    return f"- [**{name}**][{name}]: " + "  \n    ".join([about, *([", ".join(names)] if names else [])])
