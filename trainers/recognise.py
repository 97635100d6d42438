r"""Recognises the emotion in speech recordings with the best recogniser of a run.

python -m trainers.recognise --run_dir=runs/first speech.wav interview.mp4
python -m trainers.recognise --run_dir=runs/first --csv=emotions.csv recordings/
python -m trainers.recognise --run_dir=runs/first --windows --plot=interview.png interview.mp4

A recording is an audio or video file in any format that FFmpeg reads; a folder stands for all files in it. Recordings of up to
two windows (5.12 s) are classified by their middle window, as in training. For longer ones the probabilities are averaged over
windows; --windows shows each window. Unreadable recordings are reported and skipped; the exit code is then 2.
"""

from pathlib import Path

from absl import flags

from emogan import command
from emogan.config import HOP_SECONDS
from emogan.errors import UserError
from emogan.path_flags import DEFINE_path

_RUN_DIR = DEFINE_path("run_dir", None, "Folder of a finished run, or of an exported model.", required=True)
_CSV = DEFINE_path("csv", None, "CSV file to write: one line per recording, or with --windows per window.")
_WINDOWS = flags.DEFINE_bool(
    "windows", False, "Show each window of 2.56 s separately, with its start and end in seconds."
)
_HOP_SECONDS = flags.DEFINE_float(
    "hop_seconds", HOP_SECONDS, "Hop between the starts of two windows, seconds.", lower_bound=0.01
)
_PLOT = DEFINE_path("plot", None, "PNG file to write: a plot of the probabilities over time; for a single recording.")


def main(arguments: list[str]) -> None:
    """Prints a table of probabilities and a description of the recogniser."""
    if len(arguments) < 2:
        raise UserError("no recording is given; name files or folders after the flags")
    import pandas as pd
    from tqdm.auto import tqdm

    from emogan import drawing, recogniser, speech

    files = recogniser.files_of(arguments[1:])
    if _PLOT.value and len(files) != 1:
        raise UserError(f"--plot is for one recording, but {len(files)} are given; give one, or omit --plot")
    model = recogniser.load_recogniser(_RUN_DIR.value)
    tables, errors = [], []
    for path in tqdm(files, desc="recognising", unit="recording", disable=len(files) < 2):
        try:
            samples = speech.samples_of(path, model.sample_rate)
            if _WINDOWS.value or _PLOT.value:
                windows = model.windows(samples, hop_seconds=_HOP_SECONDS.value)
            if _PLOT.value:
                Path(_PLOT.value).write_bytes(drawing.to_png(drawing.over_time_figure(windows)))
            if _WINDOWS.value:
                tables.append(windows.assign(recording=str(path)))
            else:
                tables.append(model.probabilities([samples]).assign(recording=str(path)))
        except UserError as error:
            errors.append(str(error))
    if tables:
        table = pd.concat(tables, ignore_index=True)
        table.insert(0, "emotion", table[list(model.class_names)].idxmax(axis=1))
        table = table[["recording", *table.columns.drop("recording")]]
        if _CSV.value:
            table.to_csv(_CSV.value, index=False)
        print(table.to_string(index=False, float_format="{:.2f}".format))
    print(model.about())
    if errors:
        raise UserError("\n".join(errors))


if __name__ == "__main__":
    command.run(main, arguments=True)
