"""Generates speech spectrograms from faces, and recognises emotions in speech: the public names for scripts and notebooks.

    model = emogan.load("runs/first")
    for sample in model.generate("photo.jpg", emotions=["happy", "sad"], draws=3, seed=1):
        sample.save("out")
    recogniser = emogan.load_recogniser("runs/first")
    recogniser.predict("speech.wav")

Importing the package does not load TensorFlow; the first use of one of its names does.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emogan.errors import UserError
    from emogan.generation import Generated, Generator, load
    from emogan.recogniser import Recogniser, load_recogniser
    from emogan.speech import spectrogram, waveform

_MODULES = {
    "load": "generation", "Generator": "generation", "Generated": "generation",
    "load_recogniser": "recogniser", "Recogniser": "recogniser",
    "spectrogram": "speech", "waveform": "speech",
    "UserError": "errors",
}  # fmt: skip
__all__ = ["Generated", "Generator", "Recogniser", "UserError", "load", "load_recogniser", "spectrogram", "waveform"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    importlib.import_module("emogan.command").provide_cache_folders()
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
