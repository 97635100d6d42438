"""The flags of a run, a module for each group of them, and the settings they make: `run_config`.

A flag has the name and the default of the setting that it makes; see `trainers.runs.config.DEFAULTS`. Imports no TensorFlow, so
that help is quick.
"""

from absl import flags

from trainers.flags import data, losses, method, networks, recognition, strong, training
from trainers.runs.config import RunConfig

_GROUPS = (data, method, networks, losses, training, recognition, strong)

for _group in _GROUPS:
    flags.adopt_module_key_flags(_group)


def run_config() -> RunConfig:
    """The settings that the parsed flags make.

    Raises:
        UserError: where they contradict each other.
    """
    by_module = flags.FLAGS.flags_by_module_dict()
    return RunConfig.from_preset(**{flag.name: flag.value for group in _GROUPS for flag in by_module[group.__name__]})
