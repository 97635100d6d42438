"""What goes with an exported model: where it comes from, and the requests that warm a server up."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from emogan import serving
from trainers import warm_up
from trainers.saved_networks import layer_digests, load_network


@pytest.fixture(scope="module")
def model(minute_run):
    return minute_run / "serving" / "emogan" / "1"


def test_a_model_says_where_it_comes_from(minute_run, model):
    about = json.loads((model / "assets.extra" / "provenance.json").read_text())
    assert about["config"] == json.loads((minute_run / "config.json").read_text())
    assert about["run"] == minute_run.name
    generator = load_network(minute_run / "calibrate" / "generator")
    assert about["digests"]["generator"] == layer_digests(generator)
    assert set(about["digests"]) == {"generator", "classifier"}
    assert about["licences"]["crema_d_av/64"].startswith("Open Database License")
    assert about["licences"]["voxceleb_av/64"].startswith("Creative Commons")


def test_the_warm_up_can_be_played_and_calls_every_signature(model):
    served, _settings = serving.load_served(model)
    played = {}
    for record in tf.data.TFRecordDataset(str(model / "assets.extra" / "tf_serving_warmup_requests")):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        signature = served.signatures[request.model_spec.signature_name]
        answer = signature(**{name: tf.constant(values) for name, values in inputs.items()})
        played.setdefault(request.model_spec.signature_name, []).append(len(next(iter(inputs.values()))))
        assert not any(answer.get("error", tf.constant([b""])).numpy())
    assert played == {key: list(warm_up.BATCHES) for key in served.signatures}
    assert set(served.signatures) == {"serving_default", "probabilities", "audio", "tensors", "classify"}


def test_the_examples_have_a_row_for_each_emotion(model):
    rows = warm_up.example_rows(model)["serving_default"]
    _, settings = serving.load_served(model)
    assert [name.decode() for name in rows["emotion"]] == settings.class_names
    face = tf.io.decode_image(rows["aligned_face_bytes"][0]).numpy()
    assert face.shape == (64, 64, 3)
    assert np.std(face) > 20
