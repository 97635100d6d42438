"""The recognisers of a run, and which of them are compared: `Recogniser`, `RECOGNISERS`, `recognisers`.

Imports no TensorFlow, so that help is quick.
"""

import dataclasses

from emogan.config import BARE, RecogniserConfig
from trainers.runs.config import RunConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recogniser:
    """A recogniser of a run.

    Attributes:
        data: what spectrograms (faces, in the reverse direction) it is trained on.
        real: whether some of them are the training speakers' real ones.
        added: what the others are: none, `generated`, or real ones of the speakers `left_out`.
        strong: whether it is regularised as `RunConfig.strong` says; else as `emogan.config.BARE`.
        against: the recogniser that it is compared with.
        primary: whether that is a comparison for which a study is made; fixed before any is run.
    """

    data: str
    real: bool = True
    added: str = ""
    strong: bool
    against: str = ""
    primary: bool = False

    def config(self, run: RunConfig) -> RecogniserConfig:
        """How it is regularised in a run."""
        return run.strong if self.strong else BARE


RECOGNISERS = {
    "bare": Recogniser(data="real", strong=False),
    "strong": Recogniser(data="real", strong=True, against="bare"),
    "gan": Recogniser(data="real and generated", added="generated", strong=False, against="bare", primary=True),
    "gan_strong": Recogniser(data="real and generated", added="generated", strong=True, against="strong", primary=True),
    "generated": Recogniser(data="generated", real=False, added="generated", strong=True),
    "oracle": Recogniser(data="real, further speakers too", added="left_out", strong=False, against="bare"),
    "oracle_strong": Recogniser(data="real, further speakers too", added="left_out", strong=True, against="strong"),
}
"""All that a run can have, by name."""


def recognisers(config: RunConfig) -> list[str]:
    """Those of `RECOGNISERS` that a run has."""
    there = {"": True, "generated": config.schedule != "none", "left_out": config.oracle}
    found = [name for name, recogniser in RECOGNISERS.items() if there[recogniser.added]]
    return [name for name in found if config.generated_alone or RECOGNISERS[name].real]
