"""A generator and a recogniser as a SavedModel for TensorFlow Serving.

Public names: ServedModel, ServedSettings, RecogniserCard, OUTPUTS, save_served, versions, LocalModel.
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from emogan import audio
from emogan.config import MediaConfig, ModelConfig, from_json, to_json
from emogan.errors import UserError

OUTPUTS = {
    "serving_default": ("spectrogram", "error"),
    "probabilities": ("spectrogram", "error"),
    "audio": ("wav_bytes", "error"),
    "tensors": ("spectrogram",),
    "classify": ("emotion_probabilities",),
    "recognise": ("emotion_probabilities",),
    "settings": ("settings",),
}
"""Names of the outputs of each signature."""
OF_A_RUN = Path("serving", "emogan")
"""Folder of the model versions inside a run's folder."""
EXTRA = "assets.extra"
"""Folder inside a SavedModel whose files a server does not interpret."""
MAX_BYTES = 1 << 23
"""Maximum size of a face's file."""
MAX_PIXELS = 1 << 24
"""Maximum number of pixels of a face's file."""
_ROUNDING = 1e-3


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecogniserCard:
    """Training data and accuracy of a served recogniser.

    Attributes:
        name: name among the run's recognisers, such as `gan_strong`.
        trained_on: description of the training spectrograms.
        speakers: number of speakers used for training or selection.
        validation_accuracy: accuracy by which it was selected among the run's recognisers, share of clips.
        accuracy: accuracy on the test fold, whose speakers were not used for training or selection: mean over speakers, and
            over repeated trainings of the recogniser; None if not measured.
        low: lower end of the accuracy's 95% interval over speakers; None if there is none.
        high: its upper end, or None.
        test_speakers: number of test speakers.
    """

    name: str
    trained_on: str
    speakers: int
    validation_accuracy: float
    accuracy: float | None
    low: float | None
    high: float | None
    test_speakers: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServedSettings:
    """Settings for clients; part of the SavedModel: the output of a signature, and the file assets.extra/emogan.json.

    Attributes:
        media: settings of face alignment and spectrograms.
        model: the generator's architecture.
        class_names: the model's emotions.
        dataset: the dataset of the calibration.
        synthetic: whether this dataset is synthetic.
        licences: licences of all training corpora, by dataset.
        generates: whether the model has a generator.
        recogniser: the recogniser; None if there is none.
    """

    media: MediaConfig
    model: ModelConfig
    class_names: list[str]
    dataset: str
    synthetic: bool
    licences: dict[str, str]
    generates: bool = True
    recogniser: RecogniserCard | None = None


class ServedModel(tf.Module):
    """The signatures of a generator, a recogniser, or both. All inputs of a signature are mandatory, batch first.

    A server may merge requests into one batch. Therefore an invalid row raises no error, which would fail the other rows: the
    output `error` has a message, and the row's spectrogram is silence.

    Args:
        generator: G, see `emogan.networks.build_generator`; or None.
        classifier: a recogniser, see `emogan.networks.build_classifier`; or None.
        settings: the model's settings.
    """

    def __init__(
        self, generator: tf.keras.Model | None, classifier: tf.keras.Model | None, settings: ServedSettings
    ) -> None:
        super().__init__()
        # Plain functions: a Keras network as an attribute would be traced and saved again, layer by layer.
        self._generate = None if generator is None else functools.partial(generator, training=False)
        self._classify = None if classifier is None else functools.partial(classifier, training=False)
        self._weights = [
            weight for network in (generator, classifier) if network is not None for weight in network.variables
        ]
        self._size, self._classes = settings.model.size, settings.model.num_classes
        self._noise_dim = settings.model.noise_dim
        self._class_names = tf.constant(settings.class_names)
        self._audio = settings.media.spectrogram
        self._settings = to_json(settings)

    def signatures(self) -> dict[str, Callable[..., dict[str, tf.Tensor]]]:
        """Returns the functions by name of their signature."""
        face, seed = tf.TensorSpec([None], tf.string, "aligned_face_bytes"), tf.TensorSpec([None], tf.int64, "seed")
        emotion = tf.TensorSpec([None], tf.string, "emotion")
        probabilities = tf.TensorSpec([None, self._classes], tf.float32, "emotion_probabilities")
        image = [None, self._size, self._size]
        tensors = [
            tf.TensorSpec([*image, 3], tf.float32, "face"),
            tf.TensorSpec([None, self._classes], tf.float32, "condition"),
            tf.TensorSpec([None, self._noise_dim], tf.float32, "noise"),
        ]
        samples = tf.TensorSpec([None, self._audio.clip_samples], tf.float32, "samples")
        found: dict[str, tuple[Callable[..., dict[str, tf.Tensor]], list[tf.TensorSpec]]] = {
            "settings": (self.settings, [tf.TensorSpec([None], tf.int64, "row")]),
        }
        if self._generate is not None:
            found |= {
                "serving_default": (self.serving_default, [face, emotion, seed]),
                "probabilities": (self.probabilities, [face, probabilities, seed]),
                "audio": (self.audio, [face, emotion, seed]),
                "tensors": (self.tensors, tensors),
            }
        if self._classify is not None:
            found |= {
                "classify": (self.classify, [tf.TensorSpec([*image, 1], tf.float32, "spectrogram")]),
                "recognise": (self.recognise, [samples]),
            }
        return {name: tf.function(call, input_signature=specs) for name, (call, specs) in found.items()}

    def serving_default(
        self, aligned_face_bytes: tf.Tensor, emotion: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Generates one spectrogram per row, independently of the other rows.

        Args:
            aligned_face_bytes: PNG or JPEG files of faces aligned by `emogan.faces.align`, string [B], up to `MAX_BYTES` and
                `MAX_PIXELS`; other sizes than S are resized.
            emotion: names from `class_names`, string [B].
            seed: seeds of the noise, int64 [B]; equal rows with equal seeds give equal spectrograms.

        Returns:
            `spectrogram`, float32 [B, S, S, 1] in [-1, 1]; `error`, string [B], empty for valid rows.
        """
        condition = tf.cast(emotion[:, tf.newaxis] == self._class_names, tf.float32)
        names = tf.strings.reduce_join(self._class_names, separator=", ")
        message = "unknown emotion " + emotion + "; it must be one of " + names
        return self._generate_rows(
            aligned_face_bytes, condition, seed, tf.where(tf.reduce_any(condition > 0, 1), "", message)
        )

    def probabilities(
        self, aligned_face_bytes: tf.Tensor, emotion_probabilities: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Like `serving_default`, with probabilities of all `class_names`, float32 [B, num_classes], instead of an emotion."""
        sums_to_1 = tf.abs(tf.reduce_sum(emotion_probabilities, 1) - 1) < _ROUNDING
        valid = tf.reduce_all(emotion_probabilities >= 0, 1) & sums_to_1  # False for NaN
        message = "emotion_probabilities must not be negative and must sum to 1"
        return self._generate_rows(aligned_face_bytes, emotion_probabilities, seed, tf.where(valid, "", message))

    def audio(self, aligned_face_bytes: tf.Tensor, emotion: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """Like `serving_default`, but returns audio: `wav_bytes`, string [B], mono 16-bit WAV files; and `error`."""
        outputs = self.serving_default(aligned_face_bytes, emotion, seed)
        waveforms = audio.waveform(outputs["spectrogram"], self._audio)[..., tf.newaxis]
        encode = functools.partial(tf.audio.encode_wav, sample_rate=self._audio.sample_rate)
        return {
            "wav_bytes": tf.map_fn(encode, waveforms, fn_output_signature=tf.TensorSpec([], tf.string)),
            "error": outputs["error"],
        }

    def tensors(self, face: tf.Tensor, condition: tf.Tensor, noise: tf.Tensor) -> dict[str, tf.Tensor]:
        """G itself: float32 [B, S, S, 3] in [-1, 1], [B, num_classes], [B, noise_dim] -> `spectrogram`, [B, S, S, 1]."""
        assert self._generate is not None
        return {"spectrogram": self._generate([face, condition, noise])}

    def classify(self, spectrogram: tf.Tensor) -> dict[str, tf.Tensor]:
        """The recogniser: float32 [B, S, S, 1] in [-1, 1] -> `emotion_probabilities`, float32 [B, num_classes]."""
        assert self._classify is not None
        return {"emotion_probabilities": tf.nn.softmax(self._classify(spectrogram))}

    def recognise(self, samples: tf.Tensor) -> dict[str, tf.Tensor]:
        """The recogniser for audio: float32 [B, clip_samples], mono, [-1, 1] -> as `classify`; NaN and infinity become 0."""
        clipped = tf.clip_by_value(tf.where(tf.math.is_finite(samples), samples, 0.0), -1.0, 1.0)
        return self.classify(audio.spectrogram(clipped, self._audio))

    def settings(self, row: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns `settings`, string [B]: the model's `ServedSettings` as JSON, once per element of `row`, int64 [B]."""
        return {"settings": tf.fill(tf.shape(row), self._settings)}

    def _generate_rows(
        self, files: tf.Tensor, condition: tf.Tensor, seed: tf.Tensor, messages: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Generates spectrograms; silence if `messages`, string [B], has one for the row, or the face cannot be read."""
        shapes = (tf.TensorSpec([self._size, self._size, 3], tf.float32), tf.TensorSpec([], tf.string))
        faces, face_messages = tf.map_fn(self._read, files, fn_output_signature=shapes)
        noise = tf.map_fn(self._noise, seed, fn_output_signature=tf.TensorSpec([self._noise_dim], tf.float32))
        error = tf.where(messages == "", face_messages, messages)
        valid = (error == "")[:, tf.newaxis, tf.newaxis, tf.newaxis]
        condition = tf.where(error[:, tf.newaxis] == "", condition, 0.0)
        assert self._generate is not None
        generated = self._generate([faces, condition, noise])
        return {"spectrogram": tf.where(valid, generated, -1.0), "error": error}

    def _read(self, data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns a face and an empty message; or black and an error message."""
        black = tf.zeros([self._size, self._size, 3])
        unreadable = (black, "aligned_face_bytes is not a readable PNG or JPEG file")
        # Only in a tf.data pipeline may an operator of a graph fail without failing the whole graph.
        decoded = tf.data.Dataset.from_tensors(data).map(self._decode).ignore_errors()
        face, error = decoded.concatenate(tf.data.Dataset.from_tensors(unreadable)).take(1).get_single_element()
        return tf.ensure_shape(face, black.shape), error

    def _decode(self, data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Decodes a face; raises for invalid files. The image's size is checked before it is decoded."""
        is_png = tf.strings.substr(data, 0, 4) == b"\x89PNG"
        height, width = tf.cond(
            is_png, lambda: _png_shape(data), lambda: tf.unstack(tf.io.extract_jpeg_shape(data, tf.int64)[:2])
        )
        too_large = (tf.strings.length(data) > MAX_BYTES) | (height * width > MAX_PIXELS)

        def image() -> tf.Tensor:
            decoded = tf.image.decode_image(data, channels=3, expand_animations=False)
            decoded = tf.ensure_shape(decoded, [None, None, 3])
            return tf.image.resize(decoded, [self._size, self._size], antialias=True) / 127.5 - 1

        message = f"aligned_face_bytes must have up to {MAX_BYTES:,} bytes and {MAX_PIXELS:,} pixels"
        return (
            tf.cond(too_large, lambda: tf.zeros([self._size, self._size, 3]), image),
            tf.where(too_large, message, ""),
        )

    def _noise(self, seed: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_uniform([self._noise_dim], tf.stack([seed, 0]), -1.0, 1.0)


def _png_shape(data: tf.Tensor) -> list[tf.Tensor]:
    """Reads height and width from the first chunk of a PNG file, int64."""
    numbers = tf.cast(tf.io.decode_raw(tf.strings.substr(data, 16, 8), tf.uint8), tf.int64)
    width, height = tf.unstack(tf.reduce_sum(tf.reshape(numbers, [2, 4]) * [1 << 24, 1 << 16, 1 << 8, 1], 1))
    return [height, width]


def save_served(
    generator: tf.keras.Model | None, classifier: tf.keras.Model | None, settings: ServedSettings, path: Path
) -> None:
    """Writes the SavedModel of a generator, a recogniser, or both, with its settings."""
    served = ServedModel(generator, classifier, settings)
    tf.saved_model.save(served, str(path), signatures=served.signatures())
    extra = path / EXTRA
    extra.mkdir()
    (extra / "emogan.json").write_text(to_json(settings))


def versions(path: Path) -> list[int]:
    """Lists the version numbers in a folder, in ascending order; empty if the folder does not exist."""
    return sorted(int(p.name) for p in path.iterdir() if p.name.isdigit()) if path.is_dir() else []


def _newest_version(path: Path) -> Path:
    """Returns the newest version in a folder of versions, or the folder itself if it has none."""
    numbers = versions(path)
    return path / str(numbers[-1]) if numbers else path


class LocalModel:
    """A served model in this process, an `emogan.serving.connections.Connection`; loaded without Keras.

    Args:
        path: a folder of `save_served`; a folder of its versions, for the newest; or a run's folder.

    Attributes:
        signatures: TensorFlow functions by name.
        settings: the model's settings.
        provenance: assets.extra/provenance.json of an export; empty without one.

    Raises:
        UserError: if the SavedModel is missing or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        of_run = path / OF_A_RUN
        folder = _newest_version(of_run if of_run.exists() else path)
        settings, provenance = folder / EXTRA / "emogan.json", folder / EXTRA / "provenance.json"
        if not settings.exists():
            raise UserError(
                f"{path} has no exported model; give a folder of a run or of `python -m trainers.export`, such as "
                "<run_dir>/serving/emogan"
            )
        try:
            self.signatures = tf.saved_model.load(str(folder)).signatures
            self.settings = from_json(ServedSettings, settings.read_text())
            self.provenance: dict[str, Any] = json.loads(provenance.read_text()) if provenance.exists() else {}
        except (tf.errors.OpError, OSError, IndexError, ValueError) as error:  # IndexError: truncated variables
            raise UserError(f"{folder} is damaged or incomplete ({error}); export or copy it again") from error

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature with arrays, batch first; text and bytes are object arrays."""
        outputs = self.signatures[signature](**{name: tf.constant(values) for name, values in inputs.items()})
        return {name: outputs[name].numpy() for name in OUTPUTS[signature]}
