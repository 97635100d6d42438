"""The TFDS builder `folder_av`: labelled videos of one's own, listed in a table or sorted into folders."""

import collections
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import ClassVar

import tensorflow_datasets as tfds

from datasets.builder import PairsBuilder, Variant, make_configs
from datasets.clips import SOUND_SUFFIXES, Clip, Listing, media_files
from datasets.folds import MIN_FOLDS
from datasets.tables import Row, read_table
from emogan.errors import UserError

TABLE = "clips.csv"
MAX_FOLDS = 5
"""Of speakers whose folds no table tells. Our choice, as in CREMA-D."""
_EMOTION = re.compile(r"[\w-]+")  # it is part of file names, and of lists with commas
_EMOTION_RULE = "letters, digits, _ and -"
_ALL = "all"
"""The split of clips whose fold is not known yet."""


class Builder(PairsBuilder):
    """Videos of anyone, labelled with any emotions; the folds of speakers are the table's, or five at most."""

    BUILDER_CONFIGS = make_configs(
        Variant(description="All clips, with the labels that occur.", folder="", markers=("*",), class_names=())
    )
    HOMEPAGE = ""
    LICENSE = "The user's own data, under their own terms"
    FEATURES: ClassVar = {"actor_sex": tfds.features.Text()}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
A folder of videos, each of one speaker with one emotion, is expected as the manual directory itself. It has a table:
  {TABLE}  with the columns file, speaker, emotion, and if wanted sound, sex (male or female), fold (0, 1, ...)
and the files that the table names, each by its path from the folder; or, without a table, folders by emotion and speaker:
  happy/ann/anything.mp4 ...
Two emotions at least, and three speakers: training, validation and test have speakers of their own."""

    def list_clips(self, corpus_dir: Path) -> Listing:
        """Lists what the table names, or without one what the folders hold; a missing file shows when it is opened."""
        listing = Listing(splits={_ALL: []})
        folds: dict[str, int] = {}
        if (corpus_dir / TABLE).is_file():
            folds = _list_table(corpus_dir, listing)
        else:
            _list_folders(corpus_dir, listing)
        clips = listing.splits.pop(_ALL)
        _check_names(corpus_dir, {clip.speaker_id for clip in clips})
        folds = folds or _spread(clips)
        for clip in sorted(clips, key=lambda clip: folds[clip.speaker_id]):
            listing.splits.setdefault(f"fold_{folds[clip.speaker_id]}", []).append(clip)
        if clips:  # of a folder without any, the build shows what it should hold
            _check(corpus_dir, listing, speakers=len(folds))
        return listing


def _list_table(corpus_dir: Path, listing: Listing) -> dict[str, int]:
    """Adds the clips of the table. Returns the fold of each speaker, if the table has such a column."""
    named: set[Path | None] = set()
    first: dict[str, Row] = {}
    for row in read_table(corpus_dir / TABLE, "file", ("speaker", "emotion")):
        clip = _clip(row)
        named.update(clip.paths)
        listing.add(_ALL, clip)
        _check_speaker(row, first.setdefault(clip.speaker_id, row))
    listing.left_out["not_in_the_table"] = len({*media_files(corpus_dir, "**/*")} - named)
    listing.left_out = +listing.left_out
    return {speaker: int(row["fold"]) for speaker, row in first.items() if "fold" in row.cells}


def _clip(row: Row) -> Clip:
    picture = _path(row, "file")
    if not row["speaker"]:
        row.fail("speaker", "must not be empty")
    if not _EMOTION.fullmatch(row["emotion"]):
        row.fail("emotion", f"must be made of {_EMOTION_RULE}")
    sex = row.cells.get("sex", "")
    if sex not in ("", "male", "female"):
        row.fail("sex", "must be male or female, or empty")
    return Clip(
        clip_id=_clip_id(picture, row.path.parent),
        speaker_id=row["speaker"],
        picture_path=picture,
        sound_path=_path(row, "sound") if row.cells.get("sound") else picture,
        label=row["emotion"],
        features={"actor_sex": sex},
    )


def _path(row: Row, column: str) -> Path:
    """The file that a cell names. Like a name in an archive it must not lead out; what is a link in the folder may."""
    inner = PurePosixPath(row[column])
    if inner.is_absolute() or "\\" in row[column] or ".." in inner.parts or not inner.name:
        row.fail(
            column, "must lead from the table to a file beside or below it, as happy/ann/1.mp4; put the file there"
        )
    return row.path.parent / inner


def _clip_id(path: Path, corpus_dir: Path) -> str:
    return path.relative_to(corpus_dir).with_suffix("").as_posix()


def _check_speaker(row: Row, first: Row) -> None:
    """Checks what a row tells of its speaker against the first row of the same speaker."""
    if not row.cells.get("fold", "0").isdecimal():
        row.fail("fold", "must be a whole number from 0")
    for column in ("sex", "fold"):
        if row.cells.get(column) != first.cells.get(column):
            row.fail(column, f"must be {first[column]!r} as in line {first.line}, where {row['speaker']} speaks too")


def _list_folders(corpus_dir: Path, listing: Listing) -> None:
    """Adds the clips that lie two folders deep, also where these folders are links."""
    placed = {*media_files(corpus_dir, "*/*/*")}
    for path in sorted({*placed, *media_files(corpus_dir, "**/*")}):
        if path not in placed or not _EMOTION.fullmatch(path.parts[-3]):
            listing.bad_name(
                path, f"not <emotion>/<speaker>/<file>, the emotion of {_EMOTION_RULE}, nor is there a {TABLE}"
            )
            continue
        if path.suffix.lower() in SOUND_SUFFIXES and any(
            other.stem == path.stem and other.suffix.lower() not in SOUND_SUFFIXES for other in path.parent.iterdir()
        ):
            listing.left_out["sound_beside_its_video"] += 1
            continue
        clip = Clip(
            clip_id=_clip_id(path, corpus_dir),
            speaker_id=path.parts[-2],
            picture_path=path,
            sound_path=path,
            label=path.parts[-3],
            features={"actor_sex": ""},
        )
        listing.add(_ALL, clip)


def _check_names(corpus_dir: Path, speakers: Iterable[str]) -> None:
    """Raises UserError where two names are one but for their case or their Unicode form: one person would be in two folds."""
    first: dict[str, str] = {}
    for speaker in sorted(speakers):
        other = first.setdefault(unicodedata.normalize("NFKC", speaker).casefold(), speaker)
        if other != speaker:
            raise UserError(f"{corpus_dir} has the speakers {other!r} and {speaker!r}; write one name in one way")


def _spread(clips: Iterable[Clip]) -> dict[str, int]:
    """The fold of each speaker: who has the most clips comes first, into the fold with the fewest so far."""
    speakers = collections.Counter(clip.speaker_id for clip in clips)
    sizes = [0] * min(MAX_FOLDS, len(speakers))
    folds = {}
    for speaker, count in sorted(speakers.items(), key=lambda item: (-item[1], item[0])):
        folds[speaker] = sizes.index(min(sizes))
        sizes[folds[speaker]] += count
    return folds


def _check(corpus_dir: Path, listing: Listing, *, speakers: int) -> None:
    if len(names := listing.class_names) < 2:
        wrong = listing.rejections
        why = f" ({len(wrong)} files do not count; the first is {wrong[0].path}: {wrong[0].detail})" if wrong else ""
        raise UserError(
            f"all clips of {corpus_dir} are labelled {names[0]}{why}; add another emotion, there must be two or more"
        )
    if len(folds := listing.splits) < MIN_FOLDS:
        raise UserError(
            f"{corpus_dir} has {speakers} speakers in {len(folds)} folds; training, validation and test need three folds with "
            "speakers of their own: add speakers, or change the column fold. (Folders are read as <emotion>/<speaker>.)"
        )
