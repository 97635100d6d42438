"""Commands: everything that touches flags, disk or devices."""

import importlib.util
from pathlib import Path

_DATASETS = importlib.util.find_spec("datasets")
if _DATASETS is None or _DATASETS.origin is None or not Path(_DATASETS.origin).with_name("input_pipeline.py").exists():
    raise ImportError(
        "the package `datasets` of this environment is not emogan's but another one of that name (Hugging Face's, most "
        "likely); install emogan in an environment of its own"
    )
