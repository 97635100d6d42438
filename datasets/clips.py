"""What a corpus says of its clips, before any media file is opened.

Public names: Clip, Example, Rejection, Listing, ARCHIVE_SUFFIX, media_files, media_in, media_members, is_synthetic. This
module and the builders import without TensorFlow, so that `import datasets` is quick.
"""

import collections
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from datasets import files
from emogan.emotions import EMOTIONS
from emogan.media.kinds import ARCHIVE_SUFFIX, AUDIO_SUFFIXES, VIDEO_SUFFIXES, is_of_interest

Example = dict[str, Any]
"""Values of the dataset's features by name; `datasets.pairs.to_example` describes them."""

_MEDIA_SUFFIXES = AUDIO_SUFFIXES | VIDEO_SUFFIXES

SYNTHETIC_MARK = "SYNTHETIC CORPUS"
"""How the README.txt of a corpus made by `datasets.synthetic` begins."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """One recording of one speaker.

    The paths may lead into zip archives, see `datasets.files`.

    Attributes:
        clip_id: the official base name, unique in the corpus.
        speaker_id: the corpus's name of the speaker.
        image_path: the video whose middle frame is used, or a still image.
        other_images: further still images, in the order in which a face is looked for where the ones before show none.
        audio_path: the file whose audio stream is used; may be `image_path`.
        fallback_audio_path: used where `audio_path` has no audio stream.
        label: one of the builder's class names, or None where the corpus has no labels.
        features: values of the builder's own features, by name.
    """

    clip_id: str
    speaker_id: str
    image_path: Path
    audio_path: Path
    fallback_audio_path: Path | None = None
    label: str | None = None
    other_images: tuple[Path, ...] = ()
    features: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def paths(self) -> tuple[Path | None, ...]:
        """Every file that the clip may be made from: image, sound, fallback for the sound, further images."""
        return (self.image_path, self.audio_path, self.fallback_audio_path, *self.other_images)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rejection:
    """A clip that cannot be used.

    Attributes:
        clip_id: of the clip; for a file whose name says nothing, that name.
        path: the file at fault.
        reason: a stable snake_case word, the key under which it is counted.
        detail: what exactly is wrong, for people.
        key: of the clip in the store, where an image of it may be kept; empty where there is none.
    """

    clip_id: str
    path: Path
    reason: str
    detail: str
    key: str = ""


@dataclasses.dataclass(kw_only=True)
class Listing:
    """All that was found in a corpus folder.

    Attributes:
        splits: the clips of each split, splits and clips in a fixed order.
        left_out: the number of clips that are sound but not wanted, by reason.
        rejections: files of which it shows without opening them as media that they cannot be used.
        unread: media files and archives that lie where no clip of this corpus does or are of a kind that is not read, and
            unfinished downloads; they are no clips.
        closed: folders and links that could not be followed, and why.
        warnings: what people should look at before the clips are decoded; a few words, then all of it.
    """

    splits: dict[str, list[Clip]]
    left_out: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    rejections: list[Rejection] = dataclasses.field(default_factory=list)
    unread: list[Path] = dataclasses.field(default_factory=list)
    closed: dict[Path, str] = dataclasses.field(default_factory=dict)
    warnings: dict[str, str] = dataclasses.field(default_factory=dict)
    _first: dict[str, Clip] = dataclasses.field(default_factory=dict)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The labels that occur: those of EMOTIONS in their order, then others by name."""
        found = {clip.label for clips in self.splits.values() for clip in clips if clip.label}
        return (*(name for name in EMOTIONS if name in found), *sorted(found.difference(EMOTIONS)))

    @property
    def digest(self) -> str:
        """A hash of all clips: their names, speakers, labels and splits, and the sizes of their files."""
        rows = [
            [split, clip.clip_id, clip.speaker_id, clip.label, *map(files.size, (clip.image_path, clip.audio_path))]
            for split, clips in self.splits.items()
            for clip in clips
        ]
        return hashlib.sha256(json.dumps(sorted(rows, key=str)).encode()).hexdigest()

    def add(self, split: str, clip: Clip) -> None:
        """Adds a clip; of two with one id the first stays, see `add_twin` for the other."""
        first = self._first.setdefault(clip.clip_id, clip)
        if first is clip:
            self.splits[split].append(clip)
        else:
            self.add_twin(clip.audio_path, first.audio_path, clip_id=clip.clip_id, is_same=_is_copy(clip, first))

    def add_twin(self, path: Path, first: Path, *, clip_id: str, is_same: bool) -> None:
        """Adds a file beside which there is another of its name; if it holds the same it is left out, and else rejected."""
        if is_same:
            self.left_out["there_twice"] += 1
        else:
            detail = f"another clip of this name is already there as {first}, which is used; remove one of the two"
            self.reject(path, "duplicate_clip", detail, clip_id=clip_id)

    def reject(self, path: Path, reason: str, detail: str, *, clip_id: str | None = None) -> None:
        """Rejects a file; see Rejection."""
        self.rejections.append(Rejection(clip_id=clip_id or path.name, path=path, reason=reason, detail=detail))

    def bad_name(self, path: Path, rule: str) -> None:
        """Rejects a media file for its name; `rule` says which names are right."""
        self.reject(path, "bad_name", rule)


def _is_copy(clip: Clip, first: Clip) -> bool:
    """Tells whether two clips of one name are the same."""
    if (clip.speaker_id, clip.label) != (first.speaker_id, first.label):
        return False
    pairs = {(clip.image_path, first.image_path), (clip.audio_path, first.audio_path)}
    return all(files.same(*pair) for pair in pairs)


def media_files(corpus_dir: Path, listing: Listing) -> list[Path]:
    """Returns all media files and zip archives of a corpus, sorted; none that an operating system hides.

    Links are followed. What cannot be followed is noted in the listing, and so are media and archives of other kinds.
    """
    found = files.walk(corpus_dir, is_of_interest, listing.closed.__setitem__)
    return _readable(found, corpus_dir, _MEDIA_SUFFIXES | {ARCHIVE_SUFFIX}, listing)


def media_in(corpus_dir: Path, folders: Iterable[Path], listing: Listing) -> dict[Path, list[Path]]:
    """Returns what `media_files` finds in or below each of the folders; what lies elsewhere is not read."""
    found: dict[Path, list[Path]] = {folder: [] for folder in folders}
    for path in media_files(corpus_dir, listing):
        place = next((parent for parent in path.parents if parent in found), None)
        (listing.unread if place is None else found[place]).append(path)
    return found


def media_members(archive: Path, listing: Listing) -> list[Path]:
    """Returns the media files in a zip archive as `media_files` does; one that cannot be used is rejected, and has none."""
    try:
        found = files.members(archive)
    except files.MediaError as error:
        listing.reject(archive, error.reason, error.detail)
        return []
    return _readable((path for path in found if is_of_interest(path.name)), archive, _MEDIA_SUFFIXES, listing)


def _readable(found: Iterable[Path], top: Path, suffixes: frozenset[str], listing: Listing) -> list[Path]:
    """Those files of the suffixes, sorted; the others are noted as unread."""
    seen = sorted(path for path in found if not _is_hidden(path.relative_to(top)))
    listing.unread += [path for path in seen if path.suffix.lower() not in suffixes]
    return [path for path in seen if path.suffix.lower() in suffixes]


def _is_hidden(inner: Path) -> bool:
    """macOS hides a shadow of each file in `._name`, in an archive below __MACOSX."""
    return any(part.startswith(".") or part == "__MACOSX" for part in inner.parts)


def is_synthetic(corpus_dir: Path) -> bool:
    """Tells whether `datasets.synthetic` made the corpus in that folder."""
    readme = corpus_dir / "README.txt"
    return readme.is_file() and readme.read_text(encoding="utf-8", errors="replace").startswith(SYNTHETIC_MARK)
