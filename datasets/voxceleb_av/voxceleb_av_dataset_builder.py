"""The TFDS builder `voxceleb_av`: names and splits of VoxCeleb2."""

import hashlib
import re
from pathlib import Path

from datasets.builder import PairsBuilder
from datasets.clips import Clip, Listing, media_files

VALIDATION_PERCENT = 2
"""Share of the development speakers that validate. Our choice."""
_NAME = re.compile(r"(id\d{5})/[\w-]{11}/\d{5}")


class Builder(PairsBuilder):
    """Face tracks from mp4, sound from there or from aac; the official test set; validation speakers by hash."""

    FOLDER = "VoxCeleb2"
    MARKER = "*/mp4/*"
    HOMEPAGE = "https://mm.kaist.ac.kr/datasets/voxceleb/"
    LICENSE = "Creative Commons Attribution 4.0 for the metadata; the videos belong to their owners"
    CLASS_NAMES = None
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
VoxCeleb2 is expected in its official layout, in the manual directory itself or in its subfolder VoxCeleb2:
  dev/mp4/id00012/21Uxsk56VDQ/00001.mp4 ...  and test/mp4/...
  dev/aac/id00012/21Uxsk56VDQ/00001.m4a ...  and test/aac/...  (only used where a video has no sound)
Ask for it at https://mm.kaist.ac.kr/datasets/voxceleb/ and unpack the archives."""

    @classmethod
    def list_clips(cls, corpus_dir: Path) -> Listing:
        """Lists every video of the development and the test set."""
        listing = Listing(splits={"train": [], "validation": [], "test": []})
        for part in ("dev", "test"):
            videos = corpus_dir / part / "mp4"
            for path in media_files(videos, "**/*"):
                clip_id = path.relative_to(videos).with_suffix("").as_posix()
                match = _NAME.fullmatch(clip_id)
                if match is None or path.suffix != ".mp4":
                    listing.bad_name(path, f"not {part}/mp4/<speaker id>/<YouTube id>/<number>.mp4 of VoxCeleb2")
                    continue
                clip = Clip(
                    clip_id=clip_id,
                    speaker_id=match[1],
                    picture_path=path,
                    sound_path=path,
                    fallback_sound_path=corpus_dir / part / "aac" / f"{clip_id}.m4a",
                )
                listing.splits["test" if part == "test" else _development_split(match[1])].append(clip)
        return listing


def _development_split(speaker_id: str) -> str:
    number = int(hashlib.sha256(speaker_id.encode()).hexdigest(), 16)
    return "validation" if number % 100 < VALIDATION_PERCENT else "train"
