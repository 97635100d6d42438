"""The generator and the recogniser as TensorFlow Serving runs them.

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
"""What each signature gives."""
OF_A_RUN = Path("serving", "emogan")
"""Where in its folder a run leaves the versions of its model."""
EXTRA = "assets.extra"
"""The folder within a SavedModel whose files a server leaves alone."""
MAX_BYTES = 1 << 23
"""Of a face's file."""
MAX_PIXELS = 1 << 24
"""Of a face."""
_ROUNDING = 1e-3


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecogniserCard:
    """What a served recogniser is, and how often it is right.

    Attributes:
        name: of the run's recognisers, such as `gan_strong`.
        trained_on: what spectrograms, in words.
        speakers: how many people it was trained or selected on.
        validation_accuracy: by which it was chosen among the run's, share of clips.
        accuracy: on the test fold, whose speakers nothing was trained or selected on: mean over speakers, and over the
            trainings of that recogniser where there are several; None where none was measured.
        low, high: the ends of its 95% interval over speakers; None where there is none.
        test_speakers: how many these are.
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
    """What a client has to know; it travels in the SavedModel: as a signature, and in assets.extra/emogan.json.

    Attributes:
        media: how to align a face, and how to turn the spectrogram into sound.
        model: the generator's shape.
        class_names: the emotions that may be asked for.
        dataset: the corpus of the calibration.
        synthetic: whether that corpus was a synthetic one.
        licences: of every corpus that was trained on, by the name of its dataset.
        generates: whether there is a generator.
        recogniser: what the recogniser is; None where there is none.
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
    """The signatures of a served G, of a recogniser, or of both. All inputs of a signature are needed, batch first.

    A server may merge requests into one batch. So nothing that a row holds raises, which would fail its neighbours: the output
    `error` says what is wrong with a row, and its spectrogram is silence.

    Args:
        generator: G, see `emogan.networks.build_generator`; or None.
        classifier: a recogniser of emotion in spectrograms; or None.
        settings: what the signatures need to know.
    """

    def __init__(
        self, generator: tf.keras.Model | None, classifier: tf.keras.Model | None, settings: ServedSettings
    ) -> None:
        super().__init__()
        # Behind plain functions: a Keras network that TensorFlow finds here is traced and saved again, layer by layer.
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
        """What can be called, by the names that a server gives it."""
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
        taken: dict[str, tuple[Callable[..., dict[str, tf.Tensor]], list[tf.TensorSpec]]] = {
            "settings": (self.settings, [tf.TensorSpec([None], tf.int64, "row")]),
        }
        if self._generate is not None:
            taken |= {
                "serving_default": (self.serving_default, [face, emotion, seed]),
                "probabilities": (self.probabilities, [face, probabilities, seed]),
                "audio": (self.audio, [face, emotion, seed]),
                "tensors": (self.tensors, tensors),
            }
        if self._classify is not None:
            taken |= {
                "classify": (self.classify, [tf.TensorSpec([*image, 1], tf.float32, "spectrogram")]),
                "recognise": (self.recognise, [samples]),
            }
        return {name: tf.function(call, input_signature=specs) for name, (call, specs) in taken.items()}

    def serving_default(
        self, aligned_face_bytes: tf.Tensor, emotion: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Generates one spectrogram per row, whatever rows it is batched with.

        Args:
            aligned_face_bytes: PNG or JPEG files of faces as `emogan.faces.align` makes them, string [B], up to `MAX_BYTES` and
                `MAX_PIXELS`; another size is resized.
            emotion: names from `class_names`, string [B].
            seed: of the noise, int64 [B]; equal rows with equal seeds give equal spectrograms.

        Returns:
            `spectrogram`, float32 [B, S, S, 1] in [-1, 1]; `error`, string [B], empty where all is well.
        """
        condition = tf.cast(emotion[:, tf.newaxis] == self._class_names, tf.float32)
        names = tf.strings.reduce_join(self._class_names, separator=", ")
        message = "unknown emotion " + emotion + "; it must be one of " + names
        return self._made(aligned_face_bytes, condition, seed, tf.where(tf.reduce_any(condition > 0, 1), "", message))

    def probabilities(
        self, aligned_face_bytes: tf.Tensor, emotion_probabilities: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """As `serving_default`, with a probability for each of `class_names`, float32 [B, num_classes], as the emotion."""
        adds_up = tf.abs(tf.reduce_sum(emotion_probabilities, 1) - 1) < _ROUNDING
        good = tf.reduce_all(emotion_probabilities >= 0, 1) & adds_up  # nan is neither
        message = "emotion_probabilities must not be negative, and add up to 1"
        return self._made(aligned_face_bytes, emotion_probabilities, seed, tf.where(good, "", message))

    def audio(self, aligned_face_bytes: tf.Tensor, emotion: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `serving_default`, but the sound: `wav_bytes`, string [B], whole WAV files of 16 bits, mono; and `error`."""
        made = self.serving_default(aligned_face_bytes, emotion, seed)
        sounds = audio.waveform(made["spectrogram"], self._audio)[..., tf.newaxis]
        encode = functools.partial(tf.audio.encode_wav, sample_rate=self._audio.sample_rate)
        return {
            "wav_bytes": tf.map_fn(encode, sounds, fn_output_signature=tf.TensorSpec([], tf.string)),
            "error": made["error"],
        }

    def tensors(self, face: tf.Tensor, condition: tf.Tensor, noise: tf.Tensor) -> dict[str, tf.Tensor]:
        """G as it is: float32 [B, S, S, 3] in [-1, 1], [B, num_classes], [B, noise_dim] -> `spectrogram`, as above."""
        assert self._generate is not None
        return {"spectrogram": self._generate([face, condition, noise])}

    def classify(self, spectrogram: tf.Tensor) -> dict[str, tf.Tensor]:
        """The recogniser: float32 [B, S, S, 1] in [-1, 1] -> `emotion_probabilities`, float32 [B, num_classes]."""
        assert self._classify is not None
        return {"emotion_probabilities": tf.nn.softmax(self._classify(spectrogram))}

    def recognise(self, samples: tf.Tensor) -> dict[str, tf.Tensor]:
        """The recogniser from sound: float32 [B, clip_samples], mono, [-1, 1] -> as `classify`; no numbers are silence."""
        heard = tf.clip_by_value(tf.where(tf.math.is_finite(samples), samples, 0.0), -1.0, 1.0)
        return self.classify(audio.spectrogram(heard, self._audio))

    def settings(self, row: tf.Tensor) -> dict[str, tf.Tensor]:
        """`settings`, string [B]: the JSON of the model's `ServedSettings`, once for each of `row`, int64 [B]."""
        return {"settings": tf.fill(tf.shape(row), self._settings)}

    def _made(
        self, files: tf.Tensor, condition: tf.Tensor, seed: tf.Tensor, refused: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """What is made of faces, conditions and seeds, but where `refused` has a message, string [B], or a face has one."""
        shapes = (tf.TensorSpec([self._size, self._size, 3], tf.float32), tf.TensorSpec([], tf.string))
        faces, unread = tf.map_fn(self._read, files, fn_output_signature=shapes)
        noise = tf.map_fn(self._noise, seed, fn_output_signature=tf.TensorSpec([self._noise_dim], tf.float32))
        error = tf.where(refused == "", unread, refused)
        good = (error == "")[:, tf.newaxis, tf.newaxis, tf.newaxis]
        condition = tf.where(error[:, tf.newaxis] == "", condition, 0.0)
        assert self._generate is not None
        made = self._generate([faces, condition, noise])
        return {"spectrogram": tf.where(good, made, -1.0), "error": error}

    def _read(self, data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """A face, or black and why it cannot be read."""
        black = tf.zeros([self._size, self._size, 3])
        nothing = (black, "aligned_face_bytes is neither a PNG nor a JPEG file that can be read")
        # A tf.data pipeline is the one place in a graph where an operator may fail without failing the whole.
        read = tf.data.Dataset.from_tensors(data).map(self._decode).ignore_errors()
        found, error = read.concatenate(tf.data.Dataset.from_tensors(nothing)).take(1).get_single_element()
        return tf.ensure_shape(found, black.shape), error

    def _decode(self, data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The same, but fails on what is no image. How large the image is, is read before it is decoded."""
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
    """Height and width as a PNG file's first chunk has them, int64."""
    numbers = tf.cast(tf.io.decode_raw(tf.strings.substr(data, 16, 8), tf.uint8), tf.int64)
    width, height = tf.unstack(tf.reduce_sum(tf.reshape(numbers, [2, 4]) * [1 << 24, 1 << 16, 1 << 8, 1], 1))
    return [height, width]


def save_served(
    generator: tf.keras.Model | None, classifier: tf.keras.Model | None, settings: ServedSettings, path: Path
) -> None:
    """Writes the SavedModel of a served generator, of a recogniser, or of both, with its settings."""
    served = ServedModel(generator, classifier, settings)
    tf.saved_model.save(served, str(path), signatures=served.signatures())
    extra = path / EXTRA
    extra.mkdir()
    (extra / "emogan.json").write_text(to_json(settings))


def versions(path: Path) -> list[int]:
    """The numbers of the versions in a folder, from old to new, as TensorFlow Serving has it; none where it is no folder."""
    return sorted(int(p.name) for p in path.iterdir() if p.name.isdigit()) if path.is_dir() else []


def _newest_version(path: Path) -> Path:
    """The newest version in a folder of versions, or the folder itself where it is none."""
    found = versions(path)
    return path / str(found[-1]) if found else path


class LocalModel:
    """A served model in this process, called as `emogan.serving.connections.Connection` is; needs no Keras.

    Args:
        path: `save_served`'s folder, or one of such folders by version, of which it is the newest; or a run's folder.

    Attributes:
        signatures: TensorFlow's functions, by name.
        settings: what it says of itself.
        provenance: assets.extra/provenance.json of an export; empty without one.

    Raises:
        UserError: where there is no such SavedModel, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        of_run = path / OF_A_RUN
        folder = _newest_version(of_run if of_run.exists() else path)
        settings, provenance = folder / EXTRA / "emogan.json", folder / EXTRA / "provenance.json"
        if not settings.exists():
            raise UserError(
                f"{path} holds no exported model; give the folder that `python -m trainers.export` or a run wrote, such as "
                "<run_dir>/serving/emogan"
            )
        try:
            self.signatures = tf.saved_model.load(str(folder)).signatures
            self.settings = from_json(ServedSettings, settings.read_text())
            self.provenance: dict[str, Any] = json.loads(provenance.read_text()) if provenance.exists() else {}
        except (tf.errors.OpError, OSError, IndexError, ValueError) as error:  # IndexError: its variables are cut off
            raise UserError(f"{folder} is damaged, or half of a copy ({error}); export or copy it again") from error

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature with arrays, batch first; text and bytes are arrays of objects."""
        answer = self.signatures[signature](**{name: tf.constant(values) for name, values in inputs.items()})
        return {name: answer[name].numpy() for name in OUTPUTS[signature]}
