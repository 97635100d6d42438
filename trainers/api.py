"""Python API for whole runs: `run` executes a run, `results` reads the metrics of a run or a study."""

import dataclasses
from pathlib import Path

import pandas as pd

from emogan.errors import check
from trainers.reports.run_table import Result, read_results
from trainers.runs.config import RunConfig
from trainers.runs.folder import read_metrics
from trainers.runs.opening import open_job
from trainers.stages.pipeline import run_all
from trainers.study import results as study_results
from trainers.study.cases import CASES


def run(config: RunConfig, data_dir: str | Path, run_dir: str | Path) -> pd.DataFrame:
    """Runs all unfinished stages of a run, like `python -m trainers.progressive`, and returns its `results`.

    If it is stopped at any point, the same call resumes it.

    Args:
        config: the settings; see `RunConfig.from_preset`.
        data_dir: folder of the built datasets.
        run_dir: folder of the run: a new one, or that of a run with the same settings.

    Raises:
        UserError: if the settings contradict each other or the data, or the folder contains another run.
        Stopped: after a signal.
    """
    run_all(open_job(config, Path(data_dir)), Path(run_dir), flags="")
    return results(run_dir)


def results(folder: str | Path) -> pd.DataFrame:
    """The metrics of a finished run or study.

    Args:
        folder: folder of the run or study.

    Returns:
        For a run, one row for each metric, indexed by name: `value` (shares in [0, 1]), `n`, `low` and `high` of its 95%
        interval, `deviation` over trainings, `about`.

        For a study, one row for each row of its tables: `dataset`, `case`, `recogniser`, `runs`; `accuracy`, `uar`, `macro_f1`
        in [0, 1]; `difference`, `low`, `high` of the accuracy compared with that of `against`, and `p`, corrected by Holm's
        method.

    Raises:
        UserError: if the folder contains no results.
    """
    lines = read_metrics(Path(folder))
    if not any(line["stage"] == "summary" for line in lines):
        metrics = [dataclasses.asdict(one) for one in read_results(lines)]
        check(bool(metrics), f"{folder} has no results; give the folder of a finished run or study")
        return pd.DataFrame(metrics, columns=[field.name for field in dataclasses.fields(Result)]).set_index("name")
    rows = []
    for one in study_results.read(Path(folder)):
        compared = dataclasses.asdict(one.comparison) if one.comparison else {}
        rows.append(
            {
                "dataset": one.place.dataset,
                "case": one.place.case,
                "recogniser": one.place.recogniser,
                "train_speakers": one.place.train_speakers,
                "share": one.place.share,
                "runs": one.runs,
                **{name: one.mean[name] for name in study_results.RECOGNITION},
                "against": CASES[one.place.case].against(one.place.recogniser),
                **{name: compared.get(name) for name in ("difference", "low", "high")},
                "p": one.adjusted_p,
            }
        )
    return pd.DataFrame(rows)
