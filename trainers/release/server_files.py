"""Files that accompany a served model: warm-up requests, example requests with responses, and server settings.

Public names: write_requests, write_settings, example_rows.
"""

import json
from pathlib import Path

import numpy as np
import skimage.data
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from emogan import faces
from emogan.serving import connections, signatures

BATCHES = (1, 8)
"""Batch sizes of the warm-up requests; for each new size, a server selects its kernels."""
Rows = dict[str, dict[str, np.ndarray]]
"""Signature -> input name -> values."""

MODEL = "emogan"
"""Name of the model on a server."""
SETTINGS = {
    "models.config": f"""model_config_list {{
  config {{
    name: "{MODEL}"
    base_path: "/models/{MODEL}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 2 }} }}
  }}
}}
""",
    "batching.config": f"""max_batch_size {{ value: {connections.REQUEST_ROWS} }}
batch_timeout_micros {{ value: 2000 }}
max_enqueued_batches {{ value: 100 }}
num_batch_threads {{ value: 2 }}
""",
    "monitoring.config": """prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
""",
}
"""Files for tensorflow_model_server's flags --model_config_file, --batching_parameters_file and --monitoring_config_file."""


def write_settings(folder: Path) -> None:
    """Writes the files of `SETTINGS` that do not exist yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in SETTINGS.items():
        if not (folder / name).exists():
            (folder / name).write_text(text)


def write_requests(folder: Path) -> None:
    """Writes requests into the folder of a SavedModel with served signatures.

    - Warm-up requests, one per signature and size of `BATCHES`, which a server replays when it loads the model
      (https://www.tensorflow.org/tfx/serving/saved_model_warmup).
    - Examples for writing a client: one request per signature, with its response.
    """
    model = signatures.LocalModel(folder)
    rows = example_rows(model)
    _write_warm_up(rows, folder / signatures.EXTRA / "tf_serving_warmup_requests")
    _write_examples(model, rows, folder / signatures.EXTRA / "examples")


def _write_warm_up(rows_of: Rows, path: Path) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, rows in rows_of.items():
            for batch in BATCHES:
                inputs = {name: np.resize(values, (batch, *values.shape[1:])) for name, values in rows.items()}
                log = prediction_log_pb2.PredictLog(request=connections.grpc_request(MODEL, signature, inputs))
                writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def _write_examples(model: signatures.LocalModel, rows_of: Rows, folder: Path) -> None:
    """Writes requests of one row and their responses, `<signature>.request.*` and `<signature>.response.*`: for REST (`.json`)
    and for gRPC (`.pb`, a serialised PredictRequest or PredictResponse).
    """
    folder.mkdir()
    for signature, rows in rows_of.items():
        inputs = {name: values[:1] for name, values in rows.items()}
        outputs = model.predict(signature, inputs)
        both = {"request": connections.rest_request(signature, inputs), "response": connections.rest_response(outputs)}
        for name, content in both.items():
            (folder / f"{signature}.{name}.json").write_text(json.dumps(content))
        request, response = connections.grpc_request(MODEL, signature, inputs), predict_pb2.PredictResponse()
        connections.fill(response.outputs, outputs)
        for name, message in (("request", request), ("response", response)):
            (folder / f"{signature}.{name}.pb").write_bytes(message.SerializeToString(deterministic=True))


def example_rows(model: signatures.LocalModel) -> Rows:
    """Example inputs for each signature of a model.

    The face is that of scikit-image's photograph of an astronaut, which is in the public domain, with each emotion. Other
    inputs are random numbers.

    Returns:
        Signature -> input name -> array whose first axis has one entry per class.
    """
    settings = model.settings
    classes, size, spectrogram = settings.model.num_classes, settings.model.size, settings.media.spectrogram
    rng = np.random.default_rng(1)
    inputs: dict[str, np.ndarray] = {
        "spectrogram": rng.uniform(-1, 1, (classes, size, size, 1)).astype(np.float32),
        "samples": rng.uniform(-0.1, 0.1, (classes, spectrogram.clip_samples)).astype(np.float32),
        "row": np.arange(classes, dtype=np.int64),
    }
    if settings.generates:
        photograph = skimage.data.astronaut()
        landmarks = faces.detect(photograph, settings.media.face)[0].landmarks
        face, _ = faces.align(photograph, landmarks, settings.media.face)
        inputs |= {
            "aligned_face_bytes": np.array([tf.io.encode_png(face).numpy()] * classes, object),
            "emotion": np.array([name.encode() for name in settings.class_names], object),
            "emotion_probabilities": np.eye(classes, dtype=np.float32),
            "seed": np.arange(classes, dtype=np.int64),
            "face": np.tile(face.astype(np.float32) / 127.5 - 1, (classes, 1, 1, 1)),
            "condition": np.eye(classes, dtype=np.float32),
            "noise": rng.uniform(-1, 1, (classes, settings.model.noise_dim)).astype(np.float32),
        }
    return {
        name: {key: inputs[key] for key in signature.structured_input_signature[1]}
        for name, signature in model.signatures.items()
    }
