"""The recognisers of a run, and their comparisons. Public names: Recogniser, RECOGNISERS, recognisers.

Does not import TensorFlow, so that `--help` is fast.
"""

import dataclasses

from emogan.config import BARE, RecogniserConfig
from trainers.runs.config import RunConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recogniser:
    """A recogniser of a run.

    Attributes:
        data: its training examples, in words: spectrograms, or faces in the reverse direction.
        real: whether it is trained on real examples of the training speakers.
        added: further training examples: none, `generated` ones, or real ones of the `left_out` speakers.
        strong: whether it is regularised by `RunConfig.strong`, otherwise by `emogan.config.BARE`.
        against: the recogniser that it is compared with.
        primary: whether this is a primary comparison of a study, fixed before any study ran.
    """

    data: str
    real: bool = True
    added: str = ""
    strong: bool
    against: str = ""
    primary: bool = False

    def config(self, run: RunConfig) -> RecogniserConfig:
        """Its regularisation in a run."""
        return run.strong if self.strong else BARE


RECOGNISERS = {
    "bare": Recogniser(data="real", strong=False),
    "strong": Recogniser(data="real", strong=True, against="bare"),
    "gan": Recogniser(data="real and generated", added="generated", strong=False, against="bare", primary=True),
    "gan_strong": Recogniser(data="real and generated", added="generated", strong=True, against="strong", primary=True),
    "generated": Recogniser(data="generated", real=False, added="generated", strong=True),
    "oracle": Recogniser(data="real, also of further speakers", added="left_out", strong=False, against="bare"),
    "oracle_strong": Recogniser(data="real, also of further speakers", added="left_out", strong=True, against="strong"),
}
"""All recognisers by name."""


def recognisers(config: RunConfig) -> list[str]:
    """Names of the recognisers of a run."""
    available = {"": True, "generated": config.schedule != "none", "left_out": config.oracle}
    names = [name for name, recogniser in RECOGNISERS.items() if available[recogniser.added]]
    return [name for name in names if config.generated_alone or RECOGNISERS[name].real]
