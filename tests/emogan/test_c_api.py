"""Every signature by TensorFlow's C API, in a process that never imports TensorFlow: what a server's loader would find."""

import json
import subprocess
import sys
from pathlib import Path

import c_api
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from emogan import serving

LIBRARY = Path(tf.__file__).parent / "libtensorflow_cc.so.2"


@pytest.fixture(scope="module")
def request_of():
    """Makes the inputs of a signature: a row that is well, and one that is not."""
    rng = np.random.default_rng(1)
    png = tf.io.encode_png(rng.integers(0, 255, (64, 64, 3), np.uint8)).numpy()
    inputs = {
        "aligned_face_bytes": np.array([png, b"no picture"], object),
        "emotion": np.array([b"happy", b"bored"], object),
        "seed": np.array([3, -4], np.int64),
        "emotion_probabilities": np.full((2, 6), 1 / 6, np.float32),
        "face": rng.uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32),
        "condition": np.eye(6, dtype=np.float32)[:2],
        "noise": rng.uniform(-1, 1, (2, 16)).astype(np.float32),
        "spectrogram": rng.uniform(-1, 1, (2, 64, 64, 1)).astype(np.float32),
        "row": np.zeros(2, np.int64),
    }
    return lambda signature: {name: inputs[name] for name in signature.structured_input_signature[1]}


def tensor_names(folder):
    """The names of the tensors of every signature, as the SavedModel's file has them: inputs and outputs."""
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return {
        name: tuple({key: info.name for key, info in side.items()} for side in (signature.inputs, signature.outputs))
        for name, signature in saved.meta_graphs[0].signature_def.items()
    }


def test_every_signature_gives_by_the_c_api_what_it_gives_in_python(exported, request_of, record_property):
    served, _ = serving.load_served(exported)
    names = tensor_names(exported / "10")
    requests = [
        {
            "feeds": {names[name][0][key]: c_api.packed(values) for key, values in request_of(signature).items()},
            "fetches": [names[name][1][key] for key in serving.OUTPUTS[name]],
        }
        for name, signature in served.signatures.items()
    ]
    done = subprocess.run(
        [sys.executable, c_api.__file__, LIBRARY, exported / "10"],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert not found["imported_tensorflow"]
    largest = 0.0
    for (name, signature), answer in zip(served.signatures.items(), found["answers"], strict=True):
        expected = signature(**{key: tf.constant(values) for key, values in request_of(signature).items()})
        for key, values in zip(serving.OUTPUTS[name], map(c_api.unpacked, answer), strict=True):
            if values.dtype == object:
                assert list(values) == list(expected[key].numpy()), (name, key)
            else:
                largest = max(largest, float(np.abs(values - expected[key]).max()))
    record_property("largest difference", largest)
    assert largest < 1e-5
