r"""Progressive training, end to end: pretrain on VoxCeleb, calibrate on a labelled corpus, evaluate, export.

python -m trainers.progressive --flagfile=trainers/configs/demo.flags --data_dir=... --run_dir=runs/first
python -m trainers.progressive --flagfile=trainers/configs/paper.flags --data_dir=... --dry_run
python -m trainers.progressive --data_dir=... --schedule=moderate --condition=face

Datasets in --data_dir are built by `trainers.prepare`. If a run is stopped, the same command resumes it.
"""

from pathlib import Path

from absl import flags

from emogan import command
from emogan.path_flags import DEFINE_path
from trainers import flags as run_flags
from trainers.runs.config import RunConfig

_DATA_DIR = DEFINE_path("data_dir", None, "Folder of the built datasets.", required=True)
_RUN_DIR = DEFINE_path(
    "run_dir", None, "Folder of this run; by default a folder in --output_dir named after its settings."
)
_OUTPUT_DIR = DEFINE_path("output_dir", "runs", "Parent folder of runs without --run_dir.")
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print the plan, the data and the memory needed, and exit.")
_DETERMINISTIC = flags.DEFINE_bool(
    "deterministic",
    True,
    "Deterministic training: the same machine, flags and data give bit-identical weights, resumed or not; slower on GPUs.",
)
flags.adopt_module_key_flags(run_flags)


def main(_: list[str]) -> None:
    """Runs all unfinished stages and prints the results; or prints the plan."""
    config = run_flags.run_config()
    import tensorflow as tf

    from trainers.reports.run_table import read_results, results_table
    from trainers.runs.devices import is_chief
    from trainers.runs.folder import read_metrics, run_name
    from trainers.runs.needs import not_built
    from trainers.runs.opening import open_job
    from trainers.runs.phases import describe, describe_without_data, planned_classes
    from trainers.stages.pipeline import run_all

    if _DETERMINISTIC.value:
        tf.config.experimental.enable_op_determinism()

    def run_dir_of(config: RunConfig) -> Path:
        return Path(_RUN_DIR.value or Path(_OUTPUT_DIR.value) / run_name(config))

    data_dir = Path(_DATA_DIR.value)
    if _DRY_RUN.value and (missing := not_built([config], data_dir)):
        planned = planned_classes(config)
        print(describe_without_data(planned, run_dir_of(planned), missing))
        return
    job = open_job(config, data_dir)
    run_dir = run_dir_of(job.config)
    if _DRY_RUN.value:
        print(describe(job, run_dir))
        return
    report = run_all(job, run_dir, flags.FLAGS.flags_into_string())
    if is_chief(job.strategy):
        print(results_table(read_results(read_metrics(run_dir))))
        print(f"report: {report}")


if __name__ == "__main__":
    command.run(main)
