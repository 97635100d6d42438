"""The generator as TensorFlow Serving runs it: ServedGenerator, ServedSettings, save_served, load_served."""

import dataclasses
from pathlib import Path

import tensorflow as tf

from emogan.config import MediaConfig, ModelConfig, from_json, to_json
from emogan.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServedSettings:
    """What a client has to know; it lies in the SavedModel, in assets.extra/emogan.json.

    Attributes:
        media: how to align a face, and how to turn the spectrogram into sound.
        model: the generator's shape.
        class_names: the emotions that may be asked for.
        dataset: the corpus of the calibration.
        synthetic: whether that corpus was a synthetic one.
    """

    media: MediaConfig
    model: ModelConfig
    class_names: list[str]
    dataset: str
    synthetic: bool


class ServedGenerator(tf.Module):
    """The signature `serving_default` over a trained G.

    Args:
        generator: G, see `emogan.networks.build_generator`.
        settings: what the signature needs to know.
    """

    def __init__(self, generator: tf.keras.Model, settings: ServedSettings) -> None:
        super().__init__()
        self._generator = generator
        self._size = settings.model.size
        self._noise_dim = settings.model.noise_dim
        self._class_names = tf.constant(settings.class_names)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="aligned_face_bytes"),
            tf.TensorSpec([None], tf.string, name="emotion"),
            tf.TensorSpec([None], tf.int64, name="seed"),
        ]
    )
    def serving_default(
        self, aligned_face_bytes: tf.Tensor, emotion: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Generates one spectrogram per row, whatever rows it is batched with.

        Args:
            aligned_face_bytes: PNG or JPEG files of faces as `emogan.faces.align` makes them, string [B]; another size is
                resized.
            emotion: names from `class_names`, string [B].
            seed: of the noise, int64 [B]; equal rows with equal seeds give equal spectrograms.

        Returns:
            `spectrogram`, float32 [B, S, S, 1] in [-1, 1]; `error`, string [B], empty where all is well. An unknown emotion
            is told there, beside a spectrogram of silence, so that the other rows of the request are served.
        """
        faces = tf.map_fn(self._decode, aligned_face_bytes, fn_output_signature=tf.float32)
        condition = tf.cast(emotion[:, tf.newaxis] == self._class_names, tf.float32)
        noise = tf.map_fn(self._noise, seed, fn_output_signature=tf.TensorSpec([self._noise_dim], tf.float32))
        known = tf.reduce_any(condition > 0, axis=1)
        message = (
            "unknown emotion "
            + emotion
            + "; it must be one of "
            + tf.strings.reduce_join(self._class_names, separator=", ")
        )
        made = self._generator([faces, condition, noise], training=False)
        return {
            "spectrogram": tf.where(known[:, tf.newaxis, tf.newaxis, tf.newaxis], made, -1.0),
            "error": tf.where(known, "", message),
        }

    def _decode(self, data: tf.Tensor) -> tf.Tensor:
        picture = tf.ensure_shape(tf.io.decode_image(data, channels=3, expand_animations=False), [None, None, 3])
        picture = tf.image.resize(picture, [self._size, self._size], antialias=True)
        return picture / 127.5 - 1

    def _noise(self, seed: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_uniform([self._noise_dim], tf.stack([seed, 0]), -1.0, 1.0)


def save_served(generator: tf.keras.Model, settings: ServedSettings, path: Path) -> None:
    """Writes the SavedModel of a served generator with its settings."""
    served = ServedGenerator(generator, settings)
    tf.saved_model.save(served, str(path), signatures={"serving_default": served.serving_default})
    extra = path / "assets.extra"
    extra.mkdir()
    (extra / "emogan.json").write_text(to_json(settings))


def load_served(path: Path) -> tuple[tf.Module, ServedSettings]:
    """Reads `save_served`'s folder, or the newest version in the folder above it; needs no Keras.

    Raises:
        UserError: where there is no such SavedModel.
    """
    versions = [p for p in path.iterdir() if p.name.isdigit()] if path.is_dir() else []
    folder = max(versions, key=lambda p: int(p.name)) if versions else path
    settings = folder / "assets.extra" / "emogan.json"
    if not settings.exists():
        raise UserError(
            f"{path} holds no exported generator; give the folder that `python -m trainers.export` or a run wrote, such as "
            "<run_dir>/serving/emogan"
        )
    return tf.saved_model.load(str(folder)), from_json(ServedSettings, settings.read_text())
