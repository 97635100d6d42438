r"""Puts studies of trainers.table1 side by side, such as those of corpora that differ in one thing.

python -m trainers.compare_studies --studies=studies/one,studies/other --output_dir=comparison

Writes comparison.md and comparison.png: each case of each study, with its difference to bare or strong; and what each
part of the method adds to the case without it. Every figure is made from the summaries in the studies' metrics.jsonl.

Folders of one name, such as here/study,there/study, are parts of one study, for example folds that machines without a common
folder worked on; they are put together in --output_dir.
"""

from pathlib import Path

from emogan import command
from emogan.path_flags import DEFINE_path, DEFINE_paths

_STUDIES = DEFINE_paths(
    "studies", None, "Folders of studies that have ended; each goes by its last part.", required=True
)
_OUTPUT_DIR = DEFINE_path("output_dir", None, "Where the comparison is written.", required=True)


def main(_: list[str]) -> None:
    """Runs what the flags say."""
    from trainers.study import side_by_side

    text = side_by_side.write([Path(folder) for folder in _STUDIES.value], Path(_OUTPUT_DIR.value))
    print(text)


if __name__ == "__main__":
    command.run(main)
