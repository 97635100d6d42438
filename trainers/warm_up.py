"""Requests that a server plays when it loads a model, so that the first user does not wait. Public names: write, example_rows.

https://www.tensorflow.org/tfx/serving/saved_model_warmup
"""

from pathlib import Path

import numpy as np
import skimage.data
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from emogan import faces, serving

BATCHES = (1, 8)
"""Sizes of the requests: each new one makes a server choose its kernels."""


def write(folder: Path) -> None:
    """Writes a request of each signature and of each of `BATCHES` into a SavedModel with served signatures."""
    with tf.io.TFRecordWriter(str(folder / serving.EXTRA / "tf_serving_warmup_requests")) as writer:
        for signature, rows in example_rows(folder).items():
            for batch in BATCHES:
                request = predict_pb2.PredictRequest()
                request.model_spec.signature_name = signature
                for name, values in rows.items():
                    repeated = np.resize(values, (batch, *values.shape[1:]))
                    request.inputs[name].CopyFrom(tf.make_tensor_proto(repeated))
                log = prediction_log_pb2.PredictLog(request=request)
                writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def example_rows(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Inputs of each signature of a served model: the face of scikit-image's photograph of an astronaut, which is in the public
    domain, with each emotion; of what takes no face, numbers.

    Returns:
        By signature and input: an array whose first axis has an entry for each class.
    """
    served, settings = serving.load_served(folder)
    classes, size = settings.model.num_classes, settings.model.size
    photograph = skimage.data.astronaut()
    face, _ = faces.align(photograph, faces.detect(photograph, settings.media.face)[0].landmarks, settings.media.face)
    rng = np.random.default_rng(1)
    inputs = {
        "aligned_face_bytes": np.array([tf.io.encode_png(face).numpy()] * classes, object),
        "emotion": np.array([name.encode() for name in settings.class_names], object),
        "emotion_probabilities": np.eye(classes, dtype=np.float32),
        "seed": np.arange(classes, dtype=np.int64),
        "face": np.tile(face.astype(np.float32) / 127.5 - 1, (classes, 1, 1, 1)),
        "condition": np.eye(classes, dtype=np.float32),
        "noise": rng.uniform(-1, 1, (classes, settings.model.noise_dim)).astype(np.float32),
        "spectrogram": rng.uniform(-1, 1, (classes, size, size, 1)).astype(np.float32),
    }
    return {
        name: {key: inputs[key] for key in signature.structured_input_signature[1]}
        for name, signature in served.signatures.items()
    }
