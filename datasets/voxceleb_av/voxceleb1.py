"""Finds the audio files and face crops of VoxCeleb1, and the crop that corresponds to an utterance.

Public names: META, FACES, Choice, Crops, audio_folders, read_frame_list.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from datasets.clips import Listing
from datasets.voxceleb_av.speakers import Speakers

META = "vox1_meta.csv"
FACES = "unzippedFaces"
FRAME_RATE = 25
"""Frames per second in frame lists, and number of frames between two crops."""
MAX_CROPS = 11
"""Maximum number of crops of one utterance that are searched for a face. Our choice."""
_ROW = re.compile(r"^[ \t]*(\d+)\s", re.MULTILINE)


class Choice(NamedTuple):
    """Crops for an utterance, the best first (may be empty), and how they were found: `frame_list` or `middle_crop`."""

    paths: tuple[Path, ...]
    pairing: str


def audio_folders(corpus_dir: Path) -> list[Path]:
    """Returns the folders `wav`: that of the corpus, and those of its parts if the archives were unpacked separately."""
    return [path for path in (corpus_dir / "wav", *sorted(corpus_dir.glob("*/wav"))) if path.is_dir()]


def read_frame_list(path: Path) -> list[int]:
    """Returns the frame numbers of an utterance in the whole video; empty if the file has no such list.

    After some general lines (Identity, Reference, Offset, FV Conf, ASD Conf) and the header `FRAME X Y W H`, the file has a
    row for each frame: its number and a box.
    """
    _, _, rows = path.read_text(encoding="utf-8", errors="replace").partition("FRAME")
    return [int(number) for number in _ROW.findall(rows)]


class Crops:
    """The face crops of a corpus, one per second, named by their frame numbers."""

    def __init__(self, corpus_dir: Path, speakers: Speakers, listing: Listing) -> None:
        """Finds the frame lists.

        Args:
            corpus_dir: the corpus's folder.
            speakers: vox1_meta.csv, which has the names of the face folders.
            listing: records crops with invalid names.
        """
        self._corpus_dir = corpus_dir
        self._speakers = speakers
        self._listing = listing
        lists = ("txt", "vox1_*_txt", "*/txt")  # the archives unpack into txt
        self._frame_lists = [path for pattern in lists for path in sorted(corpus_dir.glob(pattern)) if path.is_dir()]
        # The disk may use another Unicode form than the table.
        self._faces = {unicodedata.normalize("NFC", path.name): path for path in corpus_dir.glob(f"{FACES}/*")}
        self._folder: Path | None = None
        self._crops: list[tuple[int, Path]] = []

    def folder(self, speaker_id: str, video: str) -> Path:
        """Returns the folder of a video's crops, whether it exists or not. Some copies lack the full stop at a name's end."""
        name = self._speakers.cell(speaker_id, "VGGFace1 ID")
        found = (self._faces.get(unicodedata.normalize("NFC", form)) for form in (name, name.rstrip(".")))
        return next(filter(None, found), self._corpus_dir / FACES / name) / "1.6" / video

    def choose(self, speaker_id: str, video: str, clip_id: str) -> Choice:
        """Returns the crops for an utterance.

        With a frame list, these are the crops of its frames or within a second of them, the nearest to its middle frame first.
        Without a list, or if it contains no crop's number, these are the middle crop of the video and its neighbours.
        """
        crops = self._of(self.folder(speaker_id, video))
        lists = (folder / f"{clip_id}.txt" for folder in self._frame_lists)
        frames = next((read_frame_list(path) for path in lists if path.is_file()), [])
        if frames:
            middle = frames[len(frames) // 2]
            span = range(min(frames) - FRAME_RATE, max(frames) + FRAME_RATE + 1)
            if inside := [crop for crop in crops if crop[0] in span]:
                return Choice(_first(sorted(inside, key=lambda crop: (abs(crop[0] - middle), crop[0]))), "frame_list")
        middle = len(crops) // 2
        order = sorted(range(len(crops)), key=lambda i: (abs(i - middle), i))
        return Choice(_first(crops[i] for i in order), "middle_crop")

    def _of(self, folder: Path) -> list[tuple[int, Path]]:
        if folder != self._folder:  # the utterances of a video are listed together
            self._folder = folder
            self._crops = []
            for path in folder.glob("*.jpg"):
                if path.stem.isdecimal():
                    self._crops.append((int(path.stem), path))
                elif not path.name.startswith("."):
                    self._listing.bad_name(path, "must be <frame number>.jpg, as in VoxCeleb1")
            self._crops.sort()
        return self._crops


def _first(crops: Iterable[tuple[int, Path]]) -> tuple[Path, ...]:
    return tuple(path for _, path in crops)[:MAX_CROPS]
