"""The flags of a run, one module per group. Public name: `run_config`, the settings that they define.

Each flag has the name and the default of its setting; see `trainers.runs.config.DEFAULTS`. Does not import TensorFlow, so that
`--help` is fast.
"""

from absl import flags

from trainers.flags import data, losses, method, networks, old_names, recognition, strong, training
from trainers.runs.config import RunConfig

_GROUPS = (data, method, networks, losses, training, recognition, strong)

for _group in (*_GROUPS, old_names):
    flags.adopt_module_key_flags(_group)


def run_config() -> RunConfig:
    """Returns the settings defined by the parsed flags.

    Raises:
        UserError: if the settings contradict each other.
    """
    by_module = flags.FLAGS.flags_by_module_dict()
    return RunConfig.from_preset(**{flag.name: flag.value for group in _GROUPS for flag in by_module[group.__name__]})
