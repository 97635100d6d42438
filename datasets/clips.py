"""What a corpus says of its clips, before any media file is opened.

Public names: Clip, Example, Rejection, Listing, media_files. This module and the builders import without TensorFlow, so
that `import datasets` is quick.
"""

import collections
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Example = dict[str, Any]
"""Values of the dataset's features by name; `datasets.pairs.to_example` describes them."""

_MEDIA_SUFFIXES = {".aac", ".avi", ".flac", ".flv", ".m4a", ".mkv", ".mov", ".mp3", ".mp4", ".wav", ".webm"}


SYNTHETIC_MARK = "SYNTHETIC CORPUS"
"""How the README.txt of a corpus made by `datasets.synthetic` begins."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """One recording of one speaker.

    The paths may lead into zip archives, see `datasets.files`.

    Attributes:
        clip_id: the official base name, unique in the corpus.
        speaker_id: the corpus's name of the speaker.
        picture_path: the video whose middle frame is used, or a still picture.
        other_pictures: further still pictures, in the order in which a face is looked for where the ones before show none.
        sound_path: the file whose audio stream is used; may be `picture_path`.
        fallback_sound_path: used where `sound_path` has no audio stream.
        label: one of the builder's class names, or None where the corpus has no labels.
        features: values of the builder's own features, by name.
    """

    clip_id: str
    speaker_id: str
    picture_path: Path
    sound_path: Path
    fallback_sound_path: Path | None = None
    label: str | None = None
    other_pictures: tuple[Path, ...] = ()
    features: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def paths(self) -> tuple[Path | None, ...]:
        """Every file that the clip may be made from: picture, sound, fallback for the sound, further pictures."""
        return (self.picture_path, self.sound_path, self.fallback_sound_path, *self.other_pictures)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rejection:
    """A clip that cannot be used.

    Attributes:
        clip_id: of the clip; for a file whose name says nothing, that name.
        path: the file at fault.
        reason: a stable snake_case word, the key under which it is counted.
        detail: what exactly is wrong, for people.
        key: of the clip in the store, where a picture of it may be kept; empty where there is none.
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
        rejections: media files whose names tell that they cannot be used.
    """

    splits: dict[str, list[Clip]]
    left_out: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    rejections: list[Rejection] = dataclasses.field(default_factory=list)

    def bad_name(self, path: Path, rule: str) -> None:
        """Rejects a media file for its name; `rule` says which names are right."""
        self.rejections.append(Rejection(clip_id=path.name, path=path, reason="bad_name", detail=rule))


def media_files(folder: Path, pattern: str) -> list[Path]:
    """Returns the media files of `folder` that match a glob pattern, sorted; no hidden ones (macOS makes some)."""
    paths = folder.glob(pattern)
    return sorted(path for path in paths if path.suffix.lower() in _MEDIA_SUFFIXES and not path.name.startswith("."))
