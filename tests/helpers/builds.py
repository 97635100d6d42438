"""Builds of the tiny synthetic CREMA-D."""

from pathlib import Path

import tensorflow_datasets as tfds

import datasets

CLIPS = 30
"""Number of clips in the corpus."""
TWO_PROCESSES = "runner=DirectRunner,direct_num_workers=2,direct_running_mode=multi_processing"
PORTABLE = "runner=PortableRunner,job_endpoint={job},environment_type={environment}"
"""Beam options of the tests."""


def build(corpus: Path, data_dir: Path, config: str = "64", beam: str = "", **settings) -> dict[str, bytes]:
    """Builds crema_d_av and returns its files."""
    builder = datasets.BUILDERS["crema_d_av"](data_dir=data_dir, config=config, **settings)
    download_config = tfds.download.DownloadConfig(manual_dir=corpus)
    if beam:
        from datasets.distributed import pipeline_options  # Beam takes seconds to import

        download_config.beam_options = pipeline_options(beam)
    builder.download_and_prepare(download_config=download_config)
    return built_files(data_dir, config)


def built_files(data_dir: Path, config: str = "64") -> dict[str, bytes]:
    """Returns the files of a built dataset."""
    folder = datasets.BUILDERS["crema_d_av"](data_dir=data_dir, config=config).data_path
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def kept_clips(data_dir: Path) -> dict[Path, int]:
    """Returns the files of the store and their modification times."""
    return {path: path.stat().st_mtime_ns for path in (data_dir / "clips").glob("??/*.npz")}
