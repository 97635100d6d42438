"""The files of an exported model: its provenance, the warm-up requests and the examples."""

import json

import grpc
import numpy as np
import pytest
import requests
import stand_in
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2, prediction_service_pb2_grpc
from tensorflow_serving.config import model_server_config_pb2

from emogan.config import from_json
from emogan.serving import signatures
from trainers.release import export, server_files
from trainers.runs.config import RunConfig
from trainers.runs.folder import read_metrics, recogniser_path
from trainers.runs.saved_networks import layer_digests, load_network


@pytest.fixture(scope="module")
def model(tiny_run):
    return tiny_run / "serving" / "emogan" / "1"


def test_a_model_states_its_origin(tiny_run, model):
    about = json.loads((model / "assets.extra" / "provenance.json").read_text())
    assert about["config"] == json.loads((tiny_run / "config.json").read_text())
    assert about["run"] == tiny_run.name
    generator = load_network(tiny_run / "calibrate" / "generator")
    assert about["digests"]["generator"] == layer_digests(generator)
    assert set(about["digests"]) == {"generator", "classifier"}
    assert about["licences"]["crema_d_av/64"].startswith("Open Database License")
    assert about["licences"]["voxceleb_av/64"].startswith("Creative Commons")


def test_a_model_has_the_recogniser_that_is_best_on_validation_and_says_how_good_it_is(tiny_run, model):
    config = from_json(RunConfig, (tiny_run / "config.json").read_text())
    name, number, accuracy = export.best_recogniser(tiny_run, config)
    lines = read_metrics(tiny_run)
    kept = {}
    for line in lines:
        stage = line["stage"].removeprefix("recognise_").partition("/")[0]
        if "val_accuracy" in line and stage in ("bare", "strong", "gan", "gan_strong"):
            of_stage = kept.setdefault(line["stage"], [])
            of_stage.append(line["val_accuracy"])
    values = {stage: max(of) if "strong" not in stage else of[-1] for stage, of in kept.items()}
    assert accuracy == max(values.values()) == values[f"recognise_{name}/{number}"]
    card = signatures.LocalModel(model).settings.recogniser
    assert (card.name, card.validation_accuracy) == (name, accuracy)
    tested = [
        line for line in lines if line["stage"] == "recognised" and line["recogniser"] == name and "speaker" in line
    ]
    shares = [line["right"] / line["n"] for line in tested]
    assert (card.test_speakers, card.accuracy) == (len(shares), pytest.approx(np.mean(shares)))
    classifier = load_network(recogniser_path(tiny_run, name, number))
    images = np.random.default_rng(1).uniform(-1, 1, (3, 64, 64, 1)).astype(np.float32)
    found = signatures.LocalModel(model).predict("classify", {"spectrogram": images})["emotion_probabilities"]
    np.testing.assert_allclose(found, tf.nn.softmax(classifier(images)), atol=1e-5)


def test_the_warm_up_can_be_played_and_calls_every_signature(model):
    served = signatures.LocalModel(model)
    played = {}
    for record in tf.data.TFRecordDataset(str(model / "assets.extra" / "tf_serving_warmup_requests")):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        signature = served.signatures[request.model_spec.signature_name]
        answer = signature(**{name: tf.constant(values) for name, values in inputs.items()})
        played.setdefault(request.model_spec.signature_name, []).append(len(next(iter(inputs.values()))))
        assert not any(answer.get("error", tf.constant([b""])).numpy())
    assert played == {key: list(server_files.BATCHES) for key in served.signatures}
    assert set(served.signatures) == set(signatures.OUTPUTS)


def test_the_examples_have_a_row_for_each_emotion(model):
    served = signatures.LocalModel(model)
    rows = server_files.example_rows(served)["serving_default"]
    assert [name.decode() for name in rows["emotion"]] == served.settings.class_names
    face = tf.io.decode_image(rows["aligned_face_bytes"][0]).numpy()
    assert face.shape == (64, 64, 3)
    assert np.std(face) > 20


def test_the_examples_have_the_answers_that_the_model_gives_on_both_wires(model):
    with stand_in.StandIn(model.parent).running() as addresses:
        for signature in signatures.OUTPUTS:
            request, response = (
                json.loads((model / "assets.extra" / "examples" / f"{signature}.{name}.json").read_text())
                for name in ("request", "response")
            )
            url = f"{addresses['rest']}/v1/models/emogan:predict"
            answer = requests.post(url, json=request, timeout=60).json()
            assert_alike(answer, response)
            messages = [
                kind.FromString((model / "assets.extra" / "examples" / f"{signature}.{name}.pb").read_bytes())
                for name, kind in (("request", predict_pb2.PredictRequest), ("response", predict_pb2.PredictResponse))
            ]
            with grpc.insecure_channel(addresses["grpc"].removeprefix("grpc://")) as channel:
                found = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(messages[0], timeout=60)
            assert set(found.outputs) == set(messages[1].outputs)
            for name, tensor in messages[1].outputs.items():
                assert_alike(tf.make_ndarray(found.outputs[name]).tolist(), tf.make_ndarray(tensor).tolist())


def assert_alike(one, other):
    """Equal, but for the rounding of floats in nested lists."""
    if isinstance(other, dict):
        assert set(one) == set(other)
        for key, value in other.items():
            assert_alike(one[key], value)
    elif isinstance(other, list) and isinstance(np.ravel(np.array(other, object))[0], float):
        np.testing.assert_allclose(np.array(one), np.array(other), atol=1e-6)
    elif isinstance(other, list) and isinstance(other[0], dict):
        for first, second in zip(one, other, strict=True):
            assert_alike(first, second)
    else:
        assert one == other


def test_the_servers_settings_are_next_to_the_versions_and_keep_changes(model, tmp_path):
    assert {path.name for path in (model.parent / "server").iterdir()} == set(server_files.SETTINGS)
    config = text_format.Parse(server_files.SETTINGS["models.config"], model_server_config_pb2.ModelServerConfig())
    assert [(one.name, one.base_path) for one in config.model_config_list.config] == [("emogan", "/models/emogan")]
    (tmp_path / "models.config").write_text("mine")
    server_files.write_settings(tmp_path)
    assert (tmp_path / "models.config").read_text() == "mine"
    assert (tmp_path / "batching.config").read_text() == server_files.SETTINGS["batching.config"]
