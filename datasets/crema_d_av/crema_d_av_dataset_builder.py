"""The TFDS builder `crema_d_av`: names, labels and folds of CREMA-D."""

import re
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from datasets import files
from datasets.builder import PairsBuilder, Variant, make_configs
from datasets.clips import Clip, Listing, media_files
from datasets.crema_d_av.tables import Actors, Votes
from datasets.folds import CREMA_D_FOLDS

_EMOTIONS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
_SENTENCES = ("IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI")
_NAME = re.compile(rf"(\d{{4}})_({'|'.join(_SENTENCES)})_({'|'.join(_EMOTIONS)})_(LO|MD|HI|XX)")
_SPLITS = {actor: f"fold_{fold}" for fold, actors in enumerate(CREMA_D_FOLDS) for actor in actors}
_IMAGES, _AUDIO = "VideoFlash", "AudioWAV"
_SUFFIXES = {_IMAGES: ".flv", _AUDIO: ".wav"}
_ODD_NAMES = {"1040_ITH_SAD_X": "1040_ITH_SAD_XX"}
"""The name in AudioWAV, and the one in the tables."""
_KNOWN_BROKEN = {
    "1076_MTI_SAD_XX": "there is no audio, and the video is an error message",
    "1076_MTI_NEU_XX": "the video has only a few frames, not from the middle of the audio",
    "1064_TIE_SAD_XX": "the video has no duration, and is not from the middle of the audio",
    "1064_IEO_DIS_MD": "the video is a minute long and shows all emotions; its middle is not disgust",
}
"""Four clips that CREMA-D's README names. The audio of the last three is good, but no image corresponds to it."""


class Builder(PairsBuilder):
    """Images from VideoFlash, audio from AudioWAV; five folds of actors; the label is the intended emotion."""

    BUILDER_CONFIGS = make_configs(
        Variant(
            description="All clips, labelled with the intended emotion.", folder="CREMA-D", markers=("VideoFlash/*",)
        )
    )
    HOMEPAGE = "https://github.com/CheyneyComputerScience/CREMA-D"
    LICENSE = "Open Database License 1.0; the contents: Database Contents License 1.0"
    FEATURES: ClassVar = {
        "voice_vote": tfds.features.Text(),
        "voice_level": tfds.features.Scalar(dtype=np.float32),
        "face_vote": tfds.features.Text(),
        "face_level": tfds.features.Scalar(dtype=np.float32),
        "multimodal_vote": tfds.features.Text(),
        "multimodal_level": tfds.features.Scalar(dtype=np.float32),
        "actor_age": tfds.features.Scalar(dtype=np.int64),
        "actor_sex": tfds.features.Text(),
    }
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
CREMA-D is expected in the layout of its repository, in the manual directory itself or in its subfolder CREMA-D:
  VideoFlash/1001_DFA_ANG_XX.flv ...  (7,442 files)
  AudioWAV/1001_DFA_ANG_XX.wav ...    (7,442 files)
  VideoDemographics.csv, processedResults/summaryTable.csv  (only for further features)
Clone https://github.com/CheyneyComputerScience/CREMA-D with Git LFS, then run `git lfs pull` in it."""

    def list_clips(self, corpus_dir: Path) -> Listing:
        """Lists every recording with a video or an audio file; a missing counterpart is rejected when it is opened."""
        listing = Listing(splits={f"fold_{fold}": [] for fold in range(len(CREMA_D_FOLDS))})
        actors, votes = Actors(corpus_dir), Votes(corpus_dir)
        for name, paths in sorted(_find(corpus_dir, listing).items()):
            actor, _, emotion, _ = name.split("_")
            clip = Clip(
                clip_id=name,
                speaker_id=actor,
                image_path=paths.get(_IMAGES, corpus_dir / _IMAGES / f"{name}.flv"),
                audio_path=paths.get(_AUDIO, corpus_dir / _AUDIO / f"{name}.wav"),
                label=_EMOTIONS[emotion],
                features={**votes.features(name), **actors.features(actor)},
            )
            if name in _KNOWN_BROKEN:
                listing.reject(clip.image_path, "known_broken", _KNOWN_BROKEN[name], clip_id=name)
            else:
                listing.add(_SPLITS[actor], clip)
        return listing


def _find(corpus_dir: Path, listing: Listing) -> dict[str, dict[str, Path]]:
    """Returns the files of each clip: name -> folder -> path."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(media_files(corpus_dir, listing), key=lambda path: path.stem in _ODD_NAMES):
        folder, name = path.parent.relative_to(corpus_dir).as_posix(), _ODD_NAMES.get(path.stem, path.stem)
        match = _NAME.fullmatch(name)
        if folder not in _SUFFIXES:
            listing.unread.append(path)
        elif match is None or match[1] not in _SPLITS or path.suffix != _SUFFIXES[folder]:
            rule = f"must be <actor 1001-1091>_<sentence>_<emotion>_<level>{_SUFFIXES[folder]}, as in CREMA-D"
            listing.bad_name(path, rule)
        elif (first := found.setdefault(name, {}).setdefault(folder, path)) is not path:  # both names
            listing.add_twin(path, first, clip_id=name, is_same=files.same(path, first))
    return found
