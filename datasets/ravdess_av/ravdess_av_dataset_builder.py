"""The TFDS builder `ravdess_av`: names, labels and folds of RAVDESS."""

import itertools
import re
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from datasets.builder import PairsBuilder, Variant, make_configs
from datasets.checksums import check_md5
from datasets.clips import ARCHIVE_SUFFIX, Clip, Listing, is_synthetic, media_files, media_members
from datasets.folds import RAVDESS_FOLDS
from emogan.emotions import EMOTIONS

_SIX = {"01": "neutral", "03": "happy", "04": "sad", "05": "anger", "06": "fear", "07": "disgust"}
_LABELS = {
    "": _SIX,
    "calm_as_neutral": _SIX | {"02": "neutral"},
    "eight": _SIX | {"02": "calm", "08": "surprised"},
}
"""The label of each emotion code, by the name of the variant; codes without one are left out."""
_NAME = re.compile(r"0[123]-0[12]-0[1-8]-0[12]-0[12]-0[12]-(\d\d)")
_SPLITS = {actor: f"fold_{fold}" for fold, actors in enumerate(RAVDESS_FOLDS) for actor in actors}


def _variant(name: str, description: str, class_names: tuple[str, ...] = EMOTIONS) -> Variant:
    return Variant(name=name, description=description, folder="RAVDESS", markers=("*Actor*",), class_names=class_names)


class Builder(PairsBuilder):
    """Spoken clips with video and audio (01-01-*), from folders or from the zip archives; six folds of actors."""

    BUILDER_CONFIGS = make_configs(
        _variant("", "The six classes shared with CREMA-D; calm and surprised are left out."),
        _variant("calm_as_neutral", "The six classes, calm counted as neutral; surprised is left out."),
        _variant("eight", "All eight emotions.", (*EMOTIONS, "calm", "surprised")),
    )
    HOMEPAGE = "https://zenodo.org/records/1188976"
    LICENSE = "CC BY-NC-SA 4.0"
    FEATURES: ClassVar = {
        "intensity": tfds.features.Scalar(dtype=np.int64),
        "statement": tfds.features.Scalar(dtype=np.int64),
        "repetition": tfds.features.Scalar(dtype=np.int64),
        "actor_sex": tfds.features.Text(),
    }
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
RAVDESS is expected as downloaded, or unpacked, in the manual directory itself or in its subfolder RAVDESS:
  Video_Speech_Actor_01.zip to Video_Speech_Actor_24.zip, or Actor_01/01-01-01-01-01-01-01.mp4 ...
  Audio_Speech_Actors_01-24.zip, or Actor_01/03-01-01-01-01-01-01.wav ...  (only used if a video has no audio)
Download them from https://zenodo.org/records/1188976; there is no need to unpack them."""

    def list_clips(self, corpus_dir: Path) -> Listing:
        """Lists the spoken videos with audio; counts the other clips of RAVDESS as left out."""
        listing = Listing(splits={f"fold_{fold}": [] for fold in range(len(RAVDESS_FOLDS))})
        videos, speech = self._find(corpus_dir, listing)
        labels = _LABELS[self.builder_config.variant.name]
        takes = {path.stem[2:] for path in videos if path.stem.startswith("01")}
        listing.left_out["sound_without_video"] += len(speech.keys() - takes)
        for path in videos:
            modality, channel, emotion, intensity, statement, repetition, actor = path.stem.split("-")
            if modality != "01":
                listing.left_out["video_without_sound"] += 1
            elif channel != "01":
                listing.left_out["song"] += 1
            elif emotion not in labels:
                listing.left_out["not_in_the_six_classes"] += 1
            else:
                features = {"intensity": int(intensity), "statement": int(statement), "repetition": int(repetition)}
                clip = Clip(
                    clip_id=path.stem,
                    speaker_id=actor,
                    image_path=path,
                    audio_path=path,
                    fallback_audio_path=speech.get(path.stem[2:]),
                    label=labels[emotion],
                    features={**features, "actor_sex": "male" if int(actor) % 2 else "female"},
                )
                listing.add(_SPLITS[actor], clip)
        listing.left_out = +listing.left_out
        return listing

    def _find(self, corpus_dir: Path, listing: Listing) -> tuple[list[Path], dict[str, Path]]:
        """Returns the videos, sorted by name (in folders before archives), and spoken audio by name without the modality."""
        archives: list[Path] = []
        unpacked: list[Path] = []
        for path in media_files(corpus_dir, listing):
            top, *inner = path.relative_to(corpus_dir).parts
            if "Actor" in top and (inner or path.suffix.lower() == ARCHIVE_SUFFIX):
                (unpacked if inner else archives).append(path)
            else:
                listing.unread.append(path)
        members = {path: media_members(path, listing) for path in archives}
        if not is_synthetic(corpus_dir):
            check_md5(
                [archive for archive, paths in members.items() if paths],
                Path(__file__).with_name("md5sums.txt"),
                memory=Path(self._data_dir_root) / self.name / "checked_archives.json",
                progress=self._progress,
            )
        videos: list[Path] = []
        speech: dict[str, Path] = {}
        for path in itertools.chain(unpacked, *members.values()):
            match = _NAME.fullmatch(path.stem)
            if path.suffix not in (".mp4", ".wav") or match is None or match[1] not in _SPLITS:
                listing.bad_name(path, "must be named as in RAVDESS: 01-01-05-01-01-01-07.mp4 (last number 01-24)")
            elif path.suffix == ".mp4":
                videos.append(path)
            elif path.stem.startswith("03-01"):
                speech.setdefault(path.stem[2:], path)
            else:
                listing.left_out["song"] += 1
        return sorted(videos, key=lambda path: path.stem), speech
