"""The TFDS builder `folder_av`: your own labelled videos, listed in a table or sorted into folders."""

import collections
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import ClassVar

import tensorflow_datasets as tfds

from datasets.builder import PairsBuilder, Variant, make_configs
from datasets.clips import ARCHIVE_SUFFIX, Clip, Listing, media_files
from datasets.files import printable
from datasets.folds import MIN_FOLDS
from datasets.tables import Row, read_table
from emogan.emotions import EMOTIONS
from emogan.errors import UserError
from emogan.media.kinds import AUDIO_SUFFIXES

TABLE = "clips.csv"
MAX_FOLDS = 5
"""Maximum number of folds if the table has none. Our choice, as for CREMA-D."""
_EMOTION_RULE = "letters, digits, _ and -"  # it is part of file names, and of lists with commas
_EMOTION_WORDS = {
    *EMOTIONS, "angry", "calm", "contempt", "disgusted", "fearful", "happiness", "joy", "sadness", "surprise", "surprised"
}  # fmt: skip
"""Words by which swapped folders, <speaker>/<emotion>, are detected."""
_ALL = "all"
"""The split of clips whose fold is not yet known."""


class Builder(PairsBuilder):
    """Videos of any speakers with any emotions. The folds of speakers are those of the table, or at most five."""

    BUILDER_CONFIGS = make_configs(
        Variant(description="All clips, with the labels that occur.", folder="", markers=("*",), class_names=())
    )
    HOMEPAGE = ""
    LICENSE = "The user's own data, under their own terms"
    FEATURES: ClassVar = {"actor_sex": tfds.features.Text()}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
A folder of videos, each of one speaker with one emotion, is expected as the manual directory itself. It has a table:
  {TABLE}  with the columns file, speaker, emotion, and optionally sound, sex (male or female), fold (0, 1, ...)
which names each file by its path from the folder; or, without a table, folders by emotion and speaker:
  happy/ann/anything.mp4 ...
It must have at least two emotions and three speakers, because training, validation and test use different speakers."""

    def list_clips(self, corpus_dir: Path) -> Listing:
        """Lists the files of the table, or without a table those of the folders. A missing file is rejected when opened."""
        listing = Listing(splits={_ALL: []})
        folds: dict[str, int] = {}
        if (corpus_dir / TABLE).is_file():
            folds = _list_table(corpus_dir, listing)
        else:
            _list_folders(corpus_dir, listing)
        _warn_of_swap(corpus_dir, listing)
        clips = listing.splits.pop(_ALL)
        _check_names(corpus_dir, {clip.speaker_id for clip in clips})
        folds = folds or _assign_folds(clips)
        for clip in sorted(clips, key=lambda clip: folds[clip.speaker_id]):
            listing.splits.setdefault(f"fold_{folds[clip.speaker_id]}", []).append(clip)
        if clips:  # for a folder without clips, the build shows the layout
            _check(corpus_dir, listing, speakers=len(folds))
        return listing


def _list_table(corpus_dir: Path, listing: Listing) -> dict[str, int]:
    """Adds the clips of the table. Returns the fold of each speaker, if the table has that column."""
    present = _by_name(corpus_dir, _media(corpus_dir, listing))
    named: set[Path | None] = set()
    first: dict[str, Row] = {}
    for row in read_table(corpus_dir / TABLE, "file", ("speaker", "emotion")):
        clip = _clip(row, present)
        named.update(clip.paths)
        listing.add(_ALL, clip)
        _check_speaker(row, first.setdefault(clip.speaker_id, row))
    listing.unread = [path for path in listing.unread if path not in named]
    listing.left_out["not_in_the_table"] = len({*present.values()} - named)
    listing.left_out = +listing.left_out
    return {speaker: int(row["fold"]) for speaker, row in first.items() if "fold" in row.cells}


def _media(corpus_dir: Path, listing: Listing) -> list[Path]:
    """Returns all media files, without archives."""
    found = media_files(corpus_dir, listing)
    listing.unread += [path for path in found if path.suffix.lower() == ARCHIVE_SUFFIX]
    return [path for path in found if path.suffix.lower() != ARCHIVE_SUFFIX]


def _by_name(corpus_dir: Path, paths: Iterable[Path]) -> dict[str, Path]:
    """Returns files by their relative names, as stored and in NFC, because table and disk may use different Unicode forms."""
    stored = {path.relative_to(corpus_dir).as_posix(): path for path in paths}
    return {_nfc(name): path for name, path in stored.items()} | stored


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _is_emotion(name: str) -> bool:
    return name != "" and all(sign in "_-" or unicodedata.category(sign)[0] in "LMN" for sign in name)


def _clip(row: Row, present: Mapping[str, Path]) -> Clip:
    image = _path(row, "file", present)
    if not row["speaker"]:
        row.fail("speaker", "must not be empty")
    if not _is_emotion(row["emotion"]):
        row.fail("emotion", f"must be made of {_EMOTION_RULE}")
    sex = row.cells.get("sex", "")
    if sex not in ("", "male", "female"):
        row.fail("sex", "must be male or female, or empty")
    return Clip(
        clip_id=_clip_id(image, row.path.parent),
        speaker_id=_nfc(row["speaker"]),
        image_path=image,
        audio_path=_path(row, "sound", present) if row.cells.get("sound") else image,
        label=_nfc(row["emotion"]),
        features={"actor_sex": sex},
    )


def _path(row: Row, column: str, present: Mapping[str, Path]) -> Path:
    """Returns the file that a cell names. The name must not lead out of the folder; links in the folder may."""
    inner = PurePosixPath(row[column])
    if inner.is_absolute() or "\\" in row[column] or ".." in inner.parts or not inner.name:
        row.fail(column, "must be a path to a file in the table's folder, such as happy/ann/1.mp4; move the file there")
    name = inner.as_posix()
    return present.get(name) or present.get(_nfc(name)) or row.path.parent / inner


def _clip_id(path: Path, corpus_dir: Path) -> str:
    return _nfc(path.relative_to(corpus_dir).with_suffix("").as_posix())


def _check_speaker(row: Row, first: Row) -> None:
    """Checks the sex and fold of a row against the first row of the same speaker."""
    if not row.cells.get("fold", "0").isdecimal():
        row.fail("fold", "must be a whole number from 0")
    for column in ("sex", "fold"):
        if row.cells.get(column) != first.cells.get(column):
            row.fail(column, f"must be {first[column]!r}, as in line {first.line}, for {row['speaker']}")


def _list_folders(corpus_dir: Path, listing: Listing) -> None:
    """Adds the clips in `<emotion>/<speaker>/`."""
    found = _media(corpus_dir, listing)
    videos = {path.with_suffix("") for path in found if path.suffix.lower() not in AUDIO_SUFFIXES}
    for path in found:
        folders = [_nfc(name) for name in path.relative_to(corpus_dir).parts[:-1]]
        if len(folders) != 2 or not _is_emotion(folders[0]):
            listing.bad_name(
                path, f"must be <emotion>/<speaker>/<file>, the emotion of {_EMOTION_RULE}, because there is no {TABLE}"
            )
        elif printable(path.name) != path.name or printable(folders[1]) != folders[1]:
            listing.bad_name(path, "the name is not UTF-8; rename it")
        elif path.suffix.lower() in AUDIO_SUFFIXES and path.with_suffix("") in videos:
            listing.left_out["sound_beside_its_video"] += 1
        else:
            clip = Clip(
                clip_id=_clip_id(path, corpus_dir),
                speaker_id=folders[1],
                image_path=path,
                audio_path=path,
                label=folders[0],
                features={"actor_sex": ""},
            )
            listing.add(_ALL, clip)


def _warn_of_swap(corpus_dir: Path, listing: Listing) -> None:
    """Warns if the speakers have names of emotions, and the emotions have not."""
    clips = listing.splits[_ALL]
    emotions, speakers = {clip.label for clip in clips if clip.label}, {clip.speaker_id for clip in clips}
    words = {name for name in speakers if name.casefold() in _EMOTION_WORDS}
    if words and 2 * len(words) >= len(speakers) and not any(name.casefold() in _EMOTION_WORDS for name in emotions):
        title, fault = "Swapped folders", "folders are read as <emotion>/<speaker>, but look like <speaker>/<emotion>"
        if (corpus_dir / TABLE).is_file():
            title, fault = "Swapped columns", f"the columns speaker and emotion of {TABLE} look swapped"
        listing.warnings[title] = (
            f"{corpus_dir}: {fault}: {', '.join(sorted(words))} are read as speakers, {', '.join(sorted(emotions)[:5])} as "
            "emotions"
        )


def _check_names(corpus_dir: Path, speakers: Iterable[str]) -> None:
    """Raises UserError if two names differ only in case or Unicode form, because one person would be in two folds."""
    first: dict[str, str] = {}
    for speaker in sorted(speakers):
        other = first.setdefault(unicodedata.normalize("NFKC", speaker).casefold(), speaker)
        if other != speaker:
            raise UserError(f"{corpus_dir} has the speakers {other!r} and {speaker!r}; spell each name in one way")


def _assign_folds(clips: Iterable[Clip]) -> dict[str, int]:
    """Returns the fold of each speaker. Speakers with the most clips come first, each into the fold with the fewest clips."""
    speakers = collections.Counter(clip.speaker_id for clip in clips)
    sizes = [0] * min(MAX_FOLDS, len(speakers))
    folds = {}
    for speaker, count in sorted(speakers.items(), key=lambda item: (-item[1], item[0])):
        folds[speaker] = sizes.index(min(sizes))
        sizes[folds[speaker]] += count
    return folds


def _check(corpus_dir: Path, listing: Listing, *, speakers: int) -> None:
    if len(names := listing.class_names) < 2:
        rejected = listing.rejections
        files = (
            f" ({len(rejected)} files rejected; the first is {rejected[0].path}: {rejected[0].detail})"
            if rejected
            else ""
        )
        raise UserError(f"all clips of {corpus_dir} are labelled {names[0]}{files}; at least two emotions are needed")
    if len(folds := listing.splits) < MIN_FOLDS:
        raise UserError(
            f"{corpus_dir} has {speakers} speakers in {len(folds)} folds; training, validation and test need three folds with "
            "different speakers: add speakers, or change the column fold. (Folders are read as <emotion>/<speaker>.)"
            + "".join(f" {warning}" for warning in listing.warnings.values())
        )
