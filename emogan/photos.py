"""`generate`: from the face in a photograph to a spectrogram and its sound, by a model here or elsewhere."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from emogan import drawing, faces
from emogan.config import from_json
from emogan.connections import Connection
from emogan.errors import UserError
from emogan.serving import ServedSettings


def generate(connection: Connection, photo: Path, emotion: str, seed: int, output_dir: Path) -> list[Path]:
    """Finds and aligns the largest face of a photograph and asks a model for an emotion.

    Args:
        connection: the model, served or in this process.
        photo: the photograph's file.
        emotion: one that the model knows.
        seed: of the noise.
        output_dir: receives the files; made if need be.

    Returns:
        The files written: the aligned face (PNG), the spectrogram (PNG) and its sound (WAV).

    Raises:
        UserError: where the model does not answer, the photograph cannot be read, the emotion is unknown, or there is no face.
    """
    (text,) = connection.predict("settings", {"row": np.zeros(1, np.int64)})["settings"]
    settings = from_json(ServedSettings, text.decode())
    if emotion not in settings.class_names:
        raise UserError(
            f"--emotion={emotion} is unknown to this model; choose one of {', '.join(settings.class_names)}"
        )
    face = tf.io.encode_png(faces.from_photo(photo, settings.media.face)).numpy()
    request = {
        "aligned_face_bytes": np.array([face], object),
        "emotion": np.array([emotion.encode()], object),
        "seed": np.array([seed], np.int64),
    }
    drawn, heard = (connection.predict(signature, request) for signature in ("serving_default", "audio"))
    if drawn["error"][0]:
        raise UserError(f"the model refused {photo}: {drawn['error'][0].decode()}")
    output_dir.mkdir(parents=True, exist_ok=True)
    stem = output_dir / f"{photo.stem}_{emotion}_{seed}"
    contents = {
        stem.with_name(f"{photo.stem}_face.png"): face,
        stem.with_suffix(".png"): drawing.to_png(drawing.spectrogram_figure(drawn["spectrogram"][0])),
        stem.with_suffix(".wav"): heard["wav_bytes"][0],
    }
    for path, content in contents.items():
        path.write_bytes(content)
    return list(contents)
