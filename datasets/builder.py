"""The base class of the three TFDS builders: everything but the names, labels and splits of a corpus.

Public names: PairsBuilder, PairsConfig.
"""

import abc
import dataclasses
import itertools
import operator
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from tqdm.auto import tqdm

from datasets.clips import SYNTHETIC_MARK, Example, Listing, Rejection
from datasets.tally import Tally
from emogan.config import SIZES, MediaConfig, to_json
from emogan.emotions import EMOTIONS
from emogan.errors import UserError


@dataclasses.dataclass(eq=False, kw_only=True)
class PairsConfig(tfds.core.BuilderConfig):
    """A TFDS configuration: its name, its description, and `media`, how the pictures are made."""

    media: MediaConfig


class PairsBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Builds pairs of an aligned face and a spectrogram from the clips of one corpus.

    The dataset's metadata hold `media` (the MediaConfig as JSON), `synthetic` (whether `datasets.synthetic` made the
    corpus), the counts `clips`, `examples`, `left_out` and `rejections`, each rejected clip in `rejected`, and
    `ceiling_share` and `floor_share` of the spectrograms' pixels.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[PairsConfig]] = [
        PairsConfig(
            name=str(size),
            description=f"Faces and spectrograms of {size} x {size} pixels.",
            media=MediaConfig.of_size(size),
        )
        for size in SIZES
    ]

    FOLDER: ClassVar[str]
    """Official name of the corpus's folder; the manual directory is this folder, or holds it."""
    MARKER: ClassVar[str]
    """Glob pattern that finds something in the corpus's folder, and in no other."""
    HOMEPAGE: ClassVar[str]
    LICENSE: ClassVar[str]
    CLASS_NAMES: ClassVar[tuple[str, ...] | None] = EMOTIONS
    """Names of the labels, or None for a corpus without."""

    def __init__(self, *, workers: int = 1, max_rejects: float = 0.05, progress: bool = False, **kwargs: Any) -> None:
        """See `tfds.core.DatasetBuilder`; the settings named here do not change the dataset's bytes.

        Args:
            workers: number of processes.
            max_rejects: share of unusable clips above which the build fails.
            progress: whether to show a progress bar.
            **kwargs: of the base class: data_dir, config, version.

        Raises:
            UserError: a setting is out of range.
        """
        if workers < 1:
            raise UserError(f"workers is {workers}; it must be at least 1")
        if not 0 <= max_rejects <= 1:
            raise UserError(f"max_rejects is {max_rejects}; it is a share, from 0 to 1")
        super().__init__(**kwargs)
        self._original_state |= {"workers": workers, "max_rejects": max_rejects, "progress": progress}
        self._workers = workers
        self._max_rejects = max_rejects
        self._progress = progress

    @classmethod
    @abc.abstractmethod
    def list_clips(cls, corpus_dir: Path) -> Listing:
        """Lists the clips of the corpus in `corpus_dir`; opens none of them."""

    @classmethod
    def find_corpus(cls, manual_dir: Path) -> Path:
        """Returns the corpus's folder: `manual_dir` or its subfolder FOLDER. Raises UserError where neither is one."""
        for folder in (manual_dir, manual_dir / cls.FOLDER):
            if next(folder.glob(cls.MARKER), None):
                return folder
        state = "holds no such files" if manual_dir.is_dir() else "does not exist"
        raise UserError(f"{manual_dir} {state}. {cls.MANUAL_DOWNLOAD_INSTRUCTIONS}")

    def _info(self) -> tfds.core.DatasetInfo:
        size = self.builder_config.media.size
        features: dict[str, Any] = {
            "face": tfds.features.Image(shape=(size, size, 3), encoding_format="png"),
            "spectrogram": tfds.features.Tensor(
                shape=(size, size, 1), dtype=np.float16, encoding=tfds.features.Encoding.BYTES
            ),
            "speaker_id": tfds.features.Text(),
            "clip_id": tfds.features.Text(),
            "frame_index": tfds.features.Scalar(dtype=np.int64),
            "frame_offset": tfds.features.Scalar(dtype=np.int64),
            "face_confidence": tfds.features.Scalar(dtype=np.float32),
            "landmarks": tfds.features.Tensor(shape=(5, 2), dtype=np.float32),
            "level_dbfs": tfds.features.Scalar(dtype=np.float32),
            "clipped_share": tfds.features.Scalar(dtype=np.float32),
        }
        if self.CLASS_NAMES is not None:
            features["label"] = tfds.features.ClassLabel(names=self.CLASS_NAMES)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("spectrogram", "label") if self.CLASS_NAMES else None,
            homepage=self.HOMEPAGE,
            license=self.LICENSE,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[Any]]:
        # Only a build needs TensorFlow's decoders and MTCNN; `import datasets` does without them.
        from datasets import pairs

        config = self.builder_config.media
        corpus_dir = self.find_corpus(Path(dl_manager.manual_dir))
        listing = self.list_clips(corpus_dir)
        if not any(listing.splits.values()) and not listing.rejections:
            raise UserError(f"{corpus_dir} holds no clip to use. {self.MANUAL_DOWNLOAD_INSTRUCTIONS}")
        self._tally = Tally(
            listing,
            corpus_dir=corpus_dir,
            csv_path=Path(self.data_path).parent / "rejections.csv",
            max_rejects=self._max_rejects,
        )
        self._synthetic = _is_synthetic(corpus_dir)
        # TFDS has to know beforehand which splits will not be empty.
        splits = {
            name: clips
            for name, clips in listing.splits.items()
            if any(self._tally.accepts(pairs.make_pair(clip, config)) for clip in clips)
        }
        clips = [clip for clips in splits.values() for clip in clips]
        results = pairs.make_pairs(clips, config, self._workers)
        names = [name for name, clips in splits.items() for _ in clips]
        bar = tqdm(zip(names, results, strict=True), total=len(clips), unit="clip", disable=not self._progress)
        # One pool of workers serves all splits; groupby passes over what TFDS did not take of the split before.
        groups = itertools.groupby(bar, key=operator.itemgetter(0))
        return {name: self._generate_examples(groups) for name in splits}

    def _generate_examples(
        self, groups: Iterator[tuple[str, Iterator[tuple[str, Example | Rejection]]]]
    ) -> Iterator[Any]:
        for _, result in next(groups)[1]:
            if self._tally.accepts(result):
                self._tally.add(result)
                yield result["clip_id"], result

    def _download_and_prepare(self, dl_manager: Any, download_config: Any) -> None:
        # Still within TFDS's temporary folder, so that an error leaves no dataset behind.
        super()._download_and_prepare(dl_manager, download_config)
        counts = self._tally.finish()
        self.info.metadata.update(media=to_json(self.builder_config.media), synthetic=self._synthetic, **counts)


def _is_synthetic(corpus_dir: Path) -> bool:
    readme = corpus_dir / "README.txt"
    return readme.is_file() and readme.read_text(encoding="utf-8", errors="replace").startswith(SYNTHETIC_MARK)
