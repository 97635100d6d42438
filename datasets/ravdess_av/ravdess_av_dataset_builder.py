"""The TFDS builder `ravdess_av`: names, labels and folds of RAVDESS."""

import re
from pathlib import Path

from datasets.builder import PairsBuilder
from datasets.clips import Clip, Listing, media_files
from datasets.folds import RAVDESS_FOLDS

_EMOTIONS = {"01": "neutral", "03": "happy", "04": "sad", "05": "anger", "06": "fear", "07": "disgust"}
"""02 calm and 08 surprised are outside the six classes."""
_NAME = re.compile(r"0[123]-0[12]-0[1-8]-0[12]-0[12]-0[12]-(\d\d)")
_SPLITS = {actor: f"fold_{fold}" for fold, actors in enumerate(RAVDESS_FOLDS) for actor in actors}


class Builder(PairsBuilder):
    """Spoken clips with picture and sound (01-01-*); six folds of actors; calm and surprised are left out."""

    FOLDER = "RAVDESS"
    MARKER = "Actor_*"
    HOMEPAGE = "https://zenodo.org/records/1188976"
    LICENSE = "CC BY-NC-SA 4.0"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
RAVDESS is expected as its archives unpack, in the manual directory itself or in its subfolder RAVDESS:
  Actor_01/01-01-01-01-01-01-01.mp4 ...  (Video_Speech_Actor_01.zip to Video_Speech_Actor_24.zip)
  Actor_01/03-01-01-01-01-01-01.wav ...  (Audio_Speech_Actors_01-24.zip; only used where a video has no sound)
Download them from https://zenodo.org/records/1188976 and unpack them."""

    @classmethod
    def list_clips(cls, corpus_dir: Path) -> Listing:
        """Lists the spoken videos with sound; what else RAVDESS holds is left out and counted."""
        listing = Listing(splits={f"fold_{fold}": [] for fold in range(len(RAVDESS_FOLDS))})
        videos: dict[str, Path] = {}
        sounds: dict[str, Path] = {}
        for path in media_files(corpus_dir, "Actor_*/*"):
            match = _NAME.fullmatch(path.stem)
            known = {".mp4": videos, ".wav": sounds}.get(path.suffix)
            if known is None or match is None or match[1] not in _SPLITS:
                listing.bad_name(path, "not a name of RAVDESS, like 01-01-05-01-01-01-07.mp4 (the last number: 01-24)")
            elif path.stem in known:
                listing.bad_name(path, f"the same recording is already there as {known[path.stem]}")
            else:
                known[path.stem] = path
        for name, path in sorted(videos.items()):
            modality, channel, emotion, *_, actor = name.split("-")
            if modality != "01":
                listing.left_out["video_without_sound"] += 1
            elif channel != "01":
                listing.left_out["song"] += 1
            elif emotion not in _EMOTIONS:
                listing.left_out["not_in_the_six_classes"] += 1
            else:
                clip = Clip(
                    clip_id=name,
                    speaker_id=actor,
                    picture_path=path,
                    sound_path=path,
                    fallback_sound_path=sounds.get(f"03{name[2:]}"),
                    label=_EMOTIONS[emotion],
                )
                listing.splits[_SPLITS[actor]].append(clip)
        return listing
