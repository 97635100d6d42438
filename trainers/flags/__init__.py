"""The flags of a run, one module per group. Public name: `run_config`, the settings that they define.

Each flag has the name and the default of its setting; see `trainers.runs.config.DEFAULTS`. Does not import TensorFlow, so that
`--help` is fast.
"""

from absl import flags

from trainers.flags import data, losses, method, networks, recognition, strong, training
from trainers.runs.config import RunConfig

_GROUPS = (data, method, networks, losses, training, recognition, strong)

for _group in _GROUPS:
    flags.adopt_module_key_flags(_group)
for _old, _new in (("take_over", "transfer"), ("keep", "select_weights"), ("control", "ablation")):
    flags.DEFINE_alias(_old, _new)  # the old names, for one release


def run_config() -> RunConfig:
    """Returns the settings defined by the parsed flags.

    Raises:
        UserError: if the settings contradict each other.
    """
    by_module = flags.FLAGS.flags_by_module_dict()
    return RunConfig.from_preset(**{flag.name: flag.value for group in _GROUPS for flag in by_module[group.__name__]})
