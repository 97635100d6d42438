"""Builds the dataset of one corpus.

python -m trainers.prepare --dataset=crema_d_av --manual_dir=DIR --data_dir=DIR [--config=64]
"""

import contextlib
import io
import os
from collections.abc import Mapping
from pathlib import Path

import tensorflow_datasets as tfds
from absl import flags, logging

import datasets
from datasets.builder import PairsBuilder
from datasets.tally import SHOWN_REJECTIONS
from emogan import command
from emogan.config import to_json
from emogan.errors import UserError

_DATASET = flags.DEFINE_enum("dataset", None, sorted(datasets.BUILDERS), "dataset to build", required=True)
_MANUAL_DIR = flags.DEFINE_string("manual_dir", None, "the corpus's folder, or the one that holds it", required=True)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "folder that the dataset is written to", required=True)
_CONFIG = flags.DEFINE_string(
    "config",
    "64",
    "side of the pictures, pixels, and what the dataset has beside the usual: "
    + "; ".join(
        f"{name} {', '.join(config.name for config in builder.BUILDER_CONFIGS)}"
        for name, builder in datasets.BUILDERS.items()
    ),
)
_WORKERS = flags.DEFINE_integer("workers", os.cpu_count(), "processes that work on clips", lower_bound=1)
_MAX_REJECTS = flags.DEFINE_float("max_rejects", 0.05, "share of unusable clips above which the build fails", 0.0, 1.0)
_STORE_DIR = flags.DEFINE_string(
    "store_dir",
    None,
    "folder that keeps the decoded clips, for every size and for a build that goes on; default: data_dir",
)
_BEAM = flags.DEFINE_string(
    "beam_pipeline_options",
    None,
    "build with Apache Beam, for clusters: its options, as in runner=DirectRunner,direct_num_workers=2",
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "build again what is there already")


def main(_: list[str]) -> None:
    """Builds the dataset, or finds it built, and prints what became of the corpus's clips."""
    logging.set_verbosity(logging.ERROR)  # not what TFDS says of its own doings
    builder = datasets.BUILDERS[_DATASET.value](
        data_dir=Path(_DATA_DIR.value).expanduser(),
        config=_CONFIG.value,
        workers=_WORKERS.value,
        max_rejects=_MAX_REJECTS.value,
        progress=True,
        store_dir=_STORE_DIR.value and Path(_STORE_DIR.value).expanduser(),
    )
    if builder.data_path.exists() and not _OVERWRITE.value:
        if builder.info.metadata["media"] != to_json(builder.builder_config.media):
            raise UserError(f"{builder.data_path} was built with other settings; give --overwrite to build it again")
        print(f"{builder.data_path} is there already; nothing was done (--overwrite builds it again)")
    else:
        _build(builder, Path(_MANUAL_DIR.value).expanduser())
    print(summary(builder.info))


def _build(builder: PairsBuilder, manual_dir: Path) -> None:
    from datasets.workers import use_one_thread

    builder.find_corpus(manual_dir)  # before an older dataset is deleted
    # What a killed build left of its examples; its decoded clips are in the store, and are not decoded again.
    for leftover in builder.data_path.parent.glob(f"incomplete.*_{builder.version}"):
        print(f"{leftover} is left of a build that was killed, or still runs; delete it if none runs")
    use_one_thread()  # so that a small corpus needs no processes of its own
    tfds.disable_progress_bar()  # the builder shows its own
    mode = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS if _OVERWRITE.value else tfds.GenerateMode.REUSE_DATASET_IF_EXISTS
    config = tfds.download.DownloadConfig(manual_dir=manual_dir, download_mode=mode)
    if _BEAM.value:
        from datasets.distributed import pipeline_options

        config.beam_options = pipeline_options(_BEAM.value)
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS speaks of downloads, and there are none
        builder.download_and_prepare(download_config=config)


def summary(info: tfds.core.DatasetInfo) -> str:
    """Tells in a few lines what a built dataset holds, and what its corpus lost on the way."""
    metadata = info.metadata
    splits = ", ".join(f"{name} {split.num_examples:,}" for name, split in sorted(info.splits.items()))
    lines = [
        f"{info.full_name} in {info.data_dir}{', of a synthetic corpus' if metadata['synthetic'] else ''}",
        f"  clips     {metadata['clips']:,}",
        f"  examples  {metadata['examples']:,} ({splits})",
        f"  rejected  {len(metadata['rejected']):,}{_counts(metadata['rejections'])}",
    ]
    if len(metadata["rejected"]) <= SHOWN_REJECTIONS:
        lines += [f"    {row['path']}: {row['reason']}: {row['detail']}" for row in metadata["rejected"]]
    else:
        lines.append(f"    listed in {Path(info.data_dir).parent / 'rejections.csv'}")
    lines += [
        f"  left out  {sum(metadata['left_out'].values()):,}{_counts(metadata['left_out'])}",
        f"  pixels    {metadata['ceiling_share']:.2%} at the ceiling, {metadata['floor_share']:.2%} at the floor",
    ]
    return "\n".join(lines)


def _counts(by_reason: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{n:,} {reason}' for reason, n in by_reason.items())})" if by_reason else ""


if __name__ == "__main__":
    command.run(main)
