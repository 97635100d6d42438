r"""The emotion in recordings of speech, by the best recogniser of a run.

python -m trainers.recognise --run_dir=runs/first speech.wav interview.mp4
python -m trainers.recognise --run_dir=runs/first --csv=emotions.csv recordings/
python -m trainers.recognise --run_dir=runs/first --windows --plot=interview.png interview.mp4

A recording is a file of sound or video of any format that FFmpeg reads; a folder stands for all in it. Of one of up to two
windows (5.12 s) the middle window is recognised, as in training; of a longer one the means over windows are told, and with
--windows each by itself. A recording that cannot be read is told, the others go on, and the exit code is 2.
"""

from pathlib import Path

from absl import flags

from emogan import command
from emogan.errors import UserError
from emogan.path_flags import DEFINE_path

_RUN_DIR = DEFINE_path("run_dir", None, "Folder of a run that has ended, or of an exported model.", required=True)
_CSV = DEFINE_path("csv", None, "File for the table: a line for each recording, or with --windows for each window.")
_WINDOWS = flags.DEFINE_bool(
    "windows", False, "Tell each window of 2.56 s by itself, with its begin and end in seconds."
)
_HOP_SECONDS = flags.DEFINE_float(
    "hop_seconds", 0.5, "From the begin of a window to that of the next one.", lower_bound=0.01
)
_PLOT = DEFINE_path("plot", None, "PNG file for the probabilities over time; for one recording.")


def main(arguments: list[str]) -> None:
    """Prints a table of probabilities, and what the recogniser is."""
    if len(arguments) < 2:
        raise UserError("no recording is given; name files or folders behind the flags")
    import pandas as pd
    from tqdm.auto import tqdm

    from emogan import drawing, recogniser

    files = recogniser.files_of(arguments[1:])
    if _PLOT.value and len(files) != 1:
        raise UserError(f"--plot is for one recording, and {len(files)} are given; give one, or leave --plot out")
    model = recogniser.load_recogniser(_RUN_DIR.value)
    found, refused = [], []
    for path in tqdm(files, desc="recognising", unit="recording", disable=len(files) < 2):
        try:
            if _WINDOWS.value or _PLOT.value:
                windows = model.windows(path, hop_seconds=_HOP_SECONDS.value)
            if _PLOT.value:
                Path(_PLOT.value).write_bytes(drawing.to_png(drawing.over_time_figure(windows)))
            if _WINDOWS.value:
                found.append(windows.assign(recording=str(path)))
            else:
                found.append(model.probabilities([path]).assign(recording=str(path)))
        except UserError as error:
            refused.append(str(error))
    if found:
        table = pd.concat(found, ignore_index=True)
        table.insert(0, "emotion", table[list(model.class_names)].idxmax(axis=1))
        table = table[["recording", *table.columns.drop("recording")]]
        if _CSV.value:
            table.to_csv(_CSV.value, index=False)
        print(table.to_string(index=False, float_format="{:.2f}".format))
    print(model.about())
    if refused:
        raise UserError("\n".join(refused))


if __name__ == "__main__":
    command.run(main, arguments=True)
