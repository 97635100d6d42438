"""Commands, and all code that uses flags, disk or devices. Python API: `run` and `results`; see `trainers.api`."""

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainers.api import results, run

__all__ = ["results", "run"]

_DATASETS = importlib.util.find_spec("datasets")
if _DATASETS is None or _DATASETS.origin is None or not Path(_DATASETS.origin).with_name("input_pipeline.py").exists():
    raise ImportError(
        "the package `datasets` in this environment is not emogan's (probably Hugging Face's); install emogan in a separate "
        "environment"
    )


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    importlib.import_module("emogan.command").provide_cache_folders()
    return getattr(importlib.import_module("trainers.api"), name)
