r"""Compares several studies of trainers.table1, for example on corpora that differ in one factor.

python -m trainers.compare_studies --studies=studies/one,studies/other --output_dir=comparison

Writes comparison.md and comparison.png: each case of each study, with its difference to bare or strong; and the gain of each
part of the method over the case without it. All values come from the summaries in the studies' metrics.jsonl.

Folders with the same name, such as here/study,there/study, are parts of one study, for example folds that ran on machines
without a shared folder; they are merged in --output_dir.
"""

from pathlib import Path

from emogan import command
from emogan.path_flags import DEFINE_path, DEFINE_paths

_STUDIES = DEFINE_paths(
    "studies", None, "Folders of finished studies; the last part of the path names the study.", required=True
)
_OUTPUT_DIR = DEFINE_path("output_dir", None, "Output folder of the comparison.", required=True)


def main(_: list[str]) -> None:
    """Writes the comparison and prints its tables."""
    from trainers.study import side_by_side

    text = side_by_side.write([Path(folder) for folder in _STUDIES.value], Path(_OUTPUT_DIR.value))
    print(text)


if __name__ == "__main__":
    command.run(main)
