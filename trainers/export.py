r"""Exports a run's calibrated generator and best recogniser as a SavedModel for TensorFlow Serving.

python -m trainers.export --run_dir=demo/run --output_dir=models/emogan
"""

from pathlib import Path

from absl import flags

from emogan import command
from emogan.path_flags import DEFINE_path

_RUN_DIR = DEFINE_path("run_dir", None, "Folder of a run of trainers.progressive.", required=True)
flags.DEFINE_alias("run", "run_dir")
_OUTPUT_DIR = DEFINE_path("output_dir", None, "Output folder, with a subfolder for each version.", required=True)
_VERSION = flags.DEFINE_integer("version", None, "Version number; by default the next one.", lower_bound=1)


def main(_: list[str]) -> None:
    """Exports a version and prints its folder."""
    from trainers.release.export import export

    print(export(Path(_RUN_DIR.value), Path(_OUTPUT_DIR.value), _VERSION.value))


if __name__ == "__main__":
    command.run(main)
