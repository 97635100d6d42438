"""Builds the dataset of a corpus, or shows how one clip is processed.

python -m trainers.prepare --dataset=crema_d_av --manual_dir=DIR --data_dir=DIR [--config=64]
python -m trainers.prepare --inspect=FILE [--audio=FILE] [--output=PNG]
"""

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from absl import flags

import datasets
from datasets.builder import MAX_REJECTS, PairsBuilder
from datasets.folds import MIN_FOLDS
from datasets.tally import SHOWN_REJECTIONS
from emogan import command
from emogan.config import MIN_FACE_WIDTH, MediaConfig, to_json
from emogan.errors import UserError, first_ones
from emogan.path_flags import DEFINE_path

_DATASET = flags.DEFINE_enum("dataset", None, sorted(datasets.BUILDERS), "Dataset to build.")
_MANUAL_DIR = DEFINE_path("manual_dir", None, "The corpus's folder, or its parent folder.")
_DATA_DIR = DEFINE_path("data_dir", None, "Output folder of the datasets.")
_CONFIG = flags.DEFINE_string(
    "config",
    "64",
    "Side length of the images in pixels, and optionally a variant of the corpus: "
    + "; ".join(
        f"{name} {', '.join(config.name for config in builder.BUILDER_CONFIGS)}"
        for name, builder in datasets.BUILDERS.items()
    )
    + ".",
)
_WORKERS = flags.DEFINE_integer(
    "workers", None, "Number of worker processes; by default one per available CPU.", lower_bound=1
)
_MAX_REJECTS = flags.DEFINE_float(
    "max_rejects", MAX_REJECTS, "Share of rejected clips above which the build fails.", 0.0, 1.0
)
_MIN_FACE_WIDTH = flags.DEFINE_float(
    "min_face_width",
    MIN_FACE_WIDTH,
    "Minimum width of a face in its frame, pixels; clips with narrower faces are rejected.",
    0.0,
)
_STORE_DIR = DEFINE_path(
    "store_dir",
    None,
    "Cache folder of the decoded clips, shared by all image sizes and by resumed builds; by default <data_dir>/clips.",
)
_BEAM = flags.DEFINE_string(
    "beam_pipeline_options",
    None,
    "Build with Apache Beam, for clusters: its pipeline options, such as runner=DirectRunner,direct_num_workers=2 "
    "(docs/clusters.md).",
)
_STRICT = flags.DEFINE_bool("strict", False, "Fail on any anomaly that TensorFlow Data Validation finds.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Rebuild an existing dataset.")
_INSPECT = DEFINE_path("inspect", None, "Plot how this clip, a video or a face crop, is processed; build nothing.")
_AUDIO = DEFINE_path("audio", None, "With --inspect: the clip's audio file, if it is a separate file.")
flags.DEFINE_alias("sound", "audio")  # its old name, for one release
_OUTPUT = DEFINE_path("output", "inspected.png", "With --inspect: the image to write.")


def main(_: list[str]) -> None:
    """Builds the dataset unless it exists, prints the counts of its clips and audits it; or inspects one clip."""
    if _INSPECT.value:
        _inspect()
        return
    missing = [f"--{flag.name}" for flag in (_DATASET, _MANUAL_DIR, _DATA_DIR) if not flag.value]
    if missing:
        raise UserError(f"{', '.join(missing)} must be given to build a dataset; give --inspect to inspect one clip")
    builder = datasets.BUILDERS[_DATASET.value](
        data_dir=Path(_DATA_DIR.value),
        config=_CONFIG.value,
        workers=_WORKERS.value or command.cpu_count(),
        max_rejects=_MAX_REJECTS.value,
        progress=True,
        store_dir=_STORE_DIR.value and Path(_STORE_DIR.value),
        min_face_width=_MIN_FACE_WIDTH.value,
    )
    try:
        if builder.data_path.exists() and not _OVERWRITE.value:
            if builder.info.metadata["media"] != to_json(builder.media):
                raise UserError(f"{builder.data_path} was built with other settings; give --overwrite to rebuild it")
            if other := builder.built_from_other_than(Path(_MANUAL_DIR.value)):
                raise UserError(
                    f"{builder.data_path} was built from {other}; give another --data_dir to keep it, or --overwrite to "
                    "replace it"
                )
            print(f"{builder.data_path} already exists; nothing was done (--overwrite rebuilds it)")
        else:
            _build(builder, Path(_MANUAL_DIR.value))
        print(summary(builder.info))
        _audit(builder)
    except Exception as error:
        if not command.is_full_disk(error):
            raise
        raise UserError(
            f"the disk of {builder.data_path.parent} or {builder.store_dir} is full; free some space and run the same command "
            "again: it resumes where it stopped"
        ) from error


def _audit(builder: PairsBuilder) -> None:
    """Validates the dataset, writes the audit next to it and prints the anomalies."""
    from datasets.facts import read_facts
    from datasets.validation import anomalies
    from trainers.reports.audit import write_audit

    facts = read_facts(builder)
    found = anomalies(builder, facts, _other_corpora(builder))
    page = write_audit(builder, facts, found, builder.data_path.parent)
    print(f"  anomalies {len(found)}")
    for anomaly in found:
        print(f"    {anomaly.where}, {anomaly.feature}: {anomaly.what}: {anomaly.detail}")
    print(f"  audit     {page}")
    if found and _STRICT.value:
        raise UserError(f"{len(found)} anomalies, and --strict allows none; see the list above and {page}")


def _other_corpora(builder: PairsBuilder) -> dict[str, Mapping[str, np.ndarray]]:
    """The facts of the other corpora's datasets in the same folder, built with the same media settings."""
    from datasets.facts import read_facts

    others = [
        other_class(data_dir=builder.data_dir_root, config=config.name)
        for name, other_class in datasets.BUILDERS.items()
        for config in other_class.BUILDER_CONFIGS
        if name != builder.name and config.media == builder.media
    ]
    return {f"{o.name}/{o.builder_config.name}": read_facts(o) for o in others if o.data_path.exists()}


def _inspect() -> None:
    from datasets import files
    from datasets.media import IMAGE_SUFFIXES
    from trainers.reports.inspection import inspect

    image = Path(_INSPECT.value)
    audio = Path(_AUDIO.value) if _AUDIO.value else image
    output = Path(_OUTPUT.value)
    for flag, path in (("inspect", image), ("audio", audio)):
        if not (path.exists() or files.archive_of(path)):  # `inspect` reports a damaged archive
            raise UserError(f"--{flag}={path}: no such file")
    if image == audio and image.suffix.lower() in IMAGE_SUFFIXES:
        raise UserError(f"--inspect={image} is a still image without audio; give its audio file with --audio")
    size = int(_CONFIG.value) if _CONFIG.value.isdigit() else 0
    print(inspect(image, audio, MediaConfig.of_size(size).with_min_face_width(_MIN_FACE_WIDTH.value), output))
    print(f"plotted in {output}")


def _build(builder: PairsBuilder, manual_dir: Path) -> None:
    builder.find_corpus(manual_dir)  # before an existing dataset is deleted
    # Examples of a killed build. Its decoded clips are cached in the store.
    for leftover in builder.data_path.parent.glob(f"incomplete.*_{builder.version}"):
        print(f"{leftover} belongs to a build that was killed or is still running; delete it if none is running")
    tfds.disable_progress_bar()  # the builder shows its own
    mode = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS if _OVERWRITE.value else tfds.GenerateMode.REUSE_DATASET_IF_EXISTS
    config = tfds.download.DownloadConfig(manual_dir=manual_dir, download_mode=mode)
    if _BEAM.value:
        from datasets.distributed import pipeline_options

        config.beam_options = pipeline_options(_BEAM.value)
    with contextlib.redirect_stdout(io.StringIO()):  # hides TFDS's messages about downloads
        builder.download_and_prepare(download_config=config)


def summary(info: tfds.core.DatasetInfo) -> str:
    """Summarises a built dataset in a few lines: its examples, and its rejected and left out clips."""
    metadata = info.metadata
    rejected, left_out = metadata["rejected"], sum(metadata["left_out"].values())
    counts = f"{metadata['examples']:,} examples + {len(rejected):,} rejected + {left_out:,} left out"
    splits = ", ".join(f"{name} {split.num_examples:,}" for name, split in sorted(info.splits.items()))
    lines = [
        f"{info.full_name} in {info.data_dir}{', of a synthetic corpus' if metadata['synthetic'] else ''}",
        f"  clips     {metadata['clips'] + left_out:,} = {counts}",
        f"  examples  {metadata['examples']:,} ({splits})",
        f"  rejected  {len(rejected):,}{_counts(metadata['rejections'])}",
    ]
    lines += [f"    {row['path']}: {row['reason']}: {row['detail']}" for row in rejected[:SHOWN_REJECTIONS]]
    if (more := len(rejected) - SHOWN_REJECTIONS) > 0:
        lines.append(f"    and {more:,} more, listed in {Path(info.data_dir).parent / 'rejections.csv'}")
    lines += [
        f"  left out  {left_out:,}{_counts(metadata['left_out'])}",
        f"  not read  {sum(metadata['not_read'].values()):,}{_counts(metadata['not_read'])}",
        f"  pixels    {metadata['clipped_share']:.2%} at the ceiling, {metadata['floor_share']:.2%} at the floor",
    ]
    if "label" in info.features:
        lines.append(f"  classes   {', '.join(info.features['label'].names)}")
    folds = [name for name in info.splits if name.startswith("fold_")]
    if folds and len(folds) < MIN_FOLDS:
        lines.append(
            f"  to train  {MIN_FOLDS} folds with clips are needed, but there are {len(folds)}; build more of the corpus"
        )
    return "\n".join(lines)


def _counts(by_name: Mapping[str, int]) -> str:
    return f" ({first_ones([f'{n:,} {name}' for name, n in by_name.items()])})" if by_name else ""


if __name__ == "__main__":
    command.run(main)
