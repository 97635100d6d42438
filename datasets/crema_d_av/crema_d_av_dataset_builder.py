"""The TFDS builder `crema_d_av`: names, labels and folds of CREMA-D."""

import re
from pathlib import Path

from datasets.builder import PairsBuilder
from datasets.clips import Clip, Listing, media_files
from datasets.folds import CREMA_D_FOLDS

_EMOTIONS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
_SENTENCES = ("IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI")
_NAME = re.compile(rf"(\d{{4}})_({'|'.join(_SENTENCES)})_({'|'.join(_EMOTIONS)})_(LO|MD|HI|XX)")
_SPLITS = {actor: f"fold_{fold}" for fold, actors in enumerate(CREMA_D_FOLDS) for actor in actors}


class Builder(PairsBuilder):
    """Pictures from VideoFlash, sound from AudioWAV; five folds of actors; the label is the intended emotion."""

    FOLDER = "CREMA-D"
    MARKER = "VideoFlash/*"
    HOMEPAGE = "https://github.com/CheyneyComputerScience/CREMA-D"
    LICENSE = "Open Database License 1.0; the contents: Database Contents License 1.0"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
CREMA-D is expected as its repository lays it out, in the manual directory itself or in its subfolder CREMA-D:
  VideoFlash/1001_DFA_ANG_XX.flv ...  (7,442 files)
  AudioWAV/1001_DFA_ANG_XX.wav ...    (7,442 files)
Clone https://github.com/CheyneyComputerScience/CREMA-D with Git LFS, then run `git lfs pull` in it."""

    @classmethod
    def list_clips(cls, corpus_dir: Path) -> Listing:
        """Lists every recording of which there is a video or a sound; a missing counterpart shows when it is opened."""
        listing = Listing(splits={f"fold_{fold}": [] for fold in range(len(CREMA_D_FOLDS))})
        names = set()
        for folder, suffix in (("VideoFlash", ".flv"), ("AudioWAV", ".wav")):
            for path in media_files(corpus_dir / folder, "*"):
                match = _NAME.fullmatch(path.stem)
                if match and match[1] in _SPLITS and path.suffix == suffix:
                    names.add(path.stem)
                else:
                    listing.bad_name(path, f"not <actor 1001-1091>_<sentence>_<emotion>_<level>{suffix} of CREMA-D")
        for name in sorted(names):
            actor, _, emotion, _ = name.split("_")
            clip = Clip(
                clip_id=name,
                speaker_id=actor,
                picture_path=corpus_dir / "VideoFlash" / f"{name}.flv",
                sound_path=corpus_dir / "AudioWAV" / f"{name}.wav",
                label=_EMOTIONS[emotion],
            )
            listing.splits[_SPLITS[actor]].append(clip)
        return listing
