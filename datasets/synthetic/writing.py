"""Writes a corpus to disk, in parallel over speakers. An interrupted run can be resumed.

Public names: make_corpus.
"""

import concurrent.futures
import csv
import dataclasses
import functools
import io
import json
import multiprocessing
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from datasets.clips import SYNTHETIC_MARK
from datasets.synthetic.clips import ClipMaker
from datasets.synthetic.corpora import speaker_ids, takes, vggface_name, voxceleb_part
from datasets.synthetic.ratings import SUMMARY_COLUMNS, summary_rows
from datasets.synthetic.settings import FORMATS, CorpusConfig, Dials
from emogan.command import cpu_count
from emogan.errors import UserError

_README = (
    SYNTHETIC_MARK
    + """: no human being is seen or heard in these files.
The folders and names are those of {corpus}; faces are one public-domain photograph (skimage.data.astronaut) warped into
expressions and speakers, voices are synthesised. Labels are what was synthesised; ratings and demographics are made up.
Made by `python -m datasets.synthetic` with the settings below; the same settings make the same files.

{settings}
"""
)


def make_corpus(
    output_dir: str | os.PathLike[str],
    corpus: str,
    *,
    speakers: int,
    clips_per_speaker: int | None = None,
    seed: int = 1,
    dials: Dials | None = None,
    workers: int | None = None,
    frame_size: tuple[int, int] | None = None,
    seconds: tuple[float, float] | None = None,
    zipped: bool = False,
    frame_lists: bool = False,
) -> None:
    """Generates a synthetic corpus in the official layout. Existing clips are kept.

    Args:
        output_dir: a new or empty folder, or one written by an earlier run with the same settings.
        corpus: `voxceleb2`, `voxceleb1`, `crema_d` or `ravdess`.
        speakers: number of speakers.
        clips_per_speaker: number of clips of each; by default 12, 12, 36 and 60. Emotions are cycled through first.
        seed: of every random choice.
        dials: strength of the ground-truth cues; see Dials.
        workers: number of processes; by default one per available CPU. The files do not depend on it.
        frame_size: width and height of the images, pixels; by default 224x224, 224x224, 480x360 and 640x360.
        seconds: minimum and maximum clip length; by default 3-4, 3-4, 1.8-3.2 and 3-4.
        zipped: whether RAVDESS is written as zip archives instead of folders.
        frame_lists: whether VoxCeleb1 is written with the frame list of each utterance.

    Raises:
        UserError: a setting is out of range, or the folder contains something else.
    """
    if corpus not in FORMATS:
        raise UserError(f"corpus={corpus}: must be one of {', '.join(FORMATS)}")
    defaults = FORMATS[corpus]
    config = CorpusConfig(
        corpus=corpus,
        speakers=speakers,
        clips_per_speaker=defaults.clips_per_speaker if clips_per_speaker is None else clips_per_speaker,
        seed=seed,
        dials=dials or Dials(),
        frame_size=frame_size or defaults.frame_size,
        seconds=seconds or defaults.seconds,
        zipped=zipped,
        frame_lists=frame_lists,
    )
    if workers is not None and workers < 1:
        raise UserError(f"workers={workers}: must be at least 1")
    root = Path(output_dir)
    _claim(root, config)
    make = functools.partial(_make_speaker_files, root, config)
    with tqdm(total=speakers * config.clips_per_speaker, desc=f"synthetic {corpus}", unit="clip") as progress:
        for clips in _map(make, speakers, workers or cpu_count()):
            progress.update(clips)
    if corpus == "crema_d":
        _write_crema_d_tables(root, config)
    elif corpus != "ravdess":
        _write_voxceleb_table(root, config)


def _map(make: "functools.partial[int]", speakers: int, workers: int) -> Iterator[int]:
    if min(workers, speakers) == 1:
        yield from map(make, range(speakers))
        return
    # Spawned, because a forked process may hang on the locks of TensorFlow's threads.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(min(workers, speakers), context) as pool:
        yield from pool.map(make, range(speakers))


def _claim(root: Path, config: CorpusConfig) -> None:
    readme = root / "README.txt"
    settings = {name: value for name, value in dataclasses.asdict(config).items() if value is not False}
    text = _README.format(corpus=config.corpus, settings=json.dumps(settings, indent=2))
    if root.exists() and not root.is_dir():
        raise UserError(f"output_dir={root}: is a file; give a folder")
    if readme.is_file():
        if readme.read_text(encoding="utf-8") != text:
            raise UserError(
                f"output_dir={root}: contains a corpus with other settings (see its README.txt); give the same settings or "
                "another folder"
            )
        return
    if root.exists() and any(not path.name.endswith(".part") for path in root.iterdir()):
        raise UserError(f"output_dir={root}: is not empty and contains no synthetic corpus; give a new folder")
    _write(readme, text.encode())


def _make_speaker_files(root: Path, config: CorpusConfig, index: int) -> int:
    maker = ClipMaker(config, index)
    # The meshes are tiny: linear-algebra threads would only spin, for up to a second per image.
    with threadpool_limits(1):
        if config.zipped:
            _make_archive(root, config, index, maker)
            return config.clips_per_speaker
        for number, take in enumerate(takes(config, index)):
            paths = [take.image] if take.audio is None else [take.image, take.audio]
            if all((root / path).is_file() for path in paths):
                continue
            for path, data in maker.make(take, number).items():
                _write(root / path, data)
    return config.clips_per_speaker


def _make_archive(root: Path, config: CorpusConfig, index: int, maker: ClipMaker) -> None:
    path = root / f"Video_Speech_Actor_{maker.speaker.speaker_id}.zip"
    if path.is_file():
        return
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, take in enumerate(takes(config, index)):
            for name, data in maker.make(take, number).items():
                archive.writestr(zipfile.ZipInfo(name), data)  # dated 1980, so that bytes do not change
    _write(path, buffer.getvalue())


def _write(path: Path, data: bytes) -> None:
    """Writes a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)


def _write_crema_d_tables(root: Path, config: CorpusConfig) -> None:
    people: list[list[object]] = []
    for index, _ in enumerate(speaker_ids("crema_d", config.speakers)):
        speaker = ClipMaker(config, index).speaker
        sex = "Female" if speaker.female else "Male"
        people.append([int(speaker.speaker_id), speaker.age, sex, "Unknown", "Not Hispanic"])
    people.sort(key=lambda row: str(row[0]))
    _write_table(root / "VideoDemographics.csv", ["ActorID", "Age", "Sex", "Race", "Ethnicity"], people)
    _write_table(root / "processedResults" / "summaryTable.csv", SUMMARY_COLUMNS, summary_rows(config))


def _write_voxceleb_table(root: Path, config: CorpusConfig) -> None:
    rows: list[list[object]] = []
    for index, speaker_id in enumerate(speaker_ids(config.corpus, config.speakers)):
        gender = "f" if ClipMaker(config, index).speaker.female else "m"
        rows.append([speaker_id, vggface_name(index), gender, "Unknown", voxceleb_part(index)])
    if config.corpus == "voxceleb1":
        columns = ["VoxCeleb1 ID", "VGGFace1 ID", "Gender", "Nationality", "Set"]
        _write_table(root / "vox1_meta.csv", columns, rows, delimiter="\t")
    else:
        columns = ["VoxCeleb2 ID ", "VGGFace2 ID ", "Gender ", "Set"]  # with the official blanks
        _write_table(root / "vox2_meta.csv", columns, [[f"{row[i]} " for i in (0, 1, 2)] + row[4:] for row in rows])


def _write_table(path: Path, columns: list[str], rows: list[list[object]], *, delimiter: str = ",") -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n", delimiter=delimiter)
    writer.writerow(columns)
    writer.writerows(rows)
    _write(path, buffer.getvalue().encode())
