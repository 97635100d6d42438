"""Old names of flags, for one release."""

from absl import flags

import trainers.flags.method  # noqa: F401  defines the flags

flags.DEFINE_alias("take_over", "transfer")
flags.DEFINE_alias("keep", "select_weights")
flags.DEFINE_alias("control", "ablation")
