"""Saves and loads networks as SavedModels with a description, and transfers weights from pretraining.

Public names: save_network, load_network, about, seen_speakers, layer_digests, start_from, start_folder, transfer_trunk.
"""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from emogan import networks  # registers the layers that SavedModels need
from emogan.config import OF_THE_GAN_ALONE, ModelConfig, differences, from_json, to_json
from emogan.errors import UserError
from trainers.runs.config import FORMAT, RunConfig
from trainers.runs.folder import RunFolder, folder_atomically


@dataclasses.dataclass(frozen=True, kw_only=True)
class SavedNetwork:
    """Description of a saved network, in the file emogan.json of its SavedModel.

    Attributes:
        role: generator, discriminator or classifier.
        model: the settings that it was built with.
        digests: `layer_digests` of its weights.
        speakers: speakers that it, or a network that it was transferred from, was trained or selected on; see
            `Corpus.speakers`.
        format: `FORMAT` of the version that wrote it.
    """

    role: str
    model: ModelConfig
    digests: dict[str, str]
    speakers: list[str]
    format: int = FORMAT


def save_network(network: tf.keras.Model, config: ModelConfig, path: Path, speakers: Collection[str]) -> None:
    """Atomically writes a network as a SavedModel without optimizer, with its `SavedNetwork`.

    Only the signature is traced, not each layer, since Keras rebuilds the network from its configuration; this takes a third
    of the time.
    """
    named = zip(network.inputs, network.input_names, strict=True)
    inputs = [tf.TensorSpec(tensor.shape, tensor.dtype, name) for tensor, name in named]
    signature = tf.function(lambda *tensors: network(tensors, training=False), input_signature=inputs)
    about = SavedNetwork(role=network.name, model=config, digests=layer_digests(network), speakers=sorted(speakers))
    with folder_atomically(path) as part:
        network.save(part, include_optimizer=False, save_format="tf", save_traces=False, signatures=signature)
        (part / "emogan.json").write_text(to_json(about))


def load_network(
    path: Path, config: ModelConfig | None = None, role: str = "", *, unseen: Collection[str] = ()
) -> tf.keras.Model:
    """Loads a network written by `save_network`, ready for further training.

    Args:
        path: folder of the SavedModel.
        config: expected settings, if given; a classifier may belong to another GAN.
        role: expected role, if given: generator, discriminator or classifier.
        unseen: test speakers; the network must not have been trained or selected on them.

    Raises:
        UserError: if the folder does not exist; the network has other settings, another role or another format, or was
            trained or selected on one of `unseen`; or its weights have changed since they were saved.
    """
    found = about(path)
    known = set(unseen).intersection(found.speakers)
    if known:
        raise UserError(f"{path} was trained or selected on {min(known)} and must not be tested on that speaker")
    model = config or found.model
    if found.role == "classifier":
        model = dataclasses.replace(model, **{name: getattr(found.model, name) for name in OF_THE_GAN_ALONE})
    expected = dataclasses.replace(found, format=FORMAT, role=role or found.role, model=model)
    if found != expected:
        raise UserError(f"{path} does not fit ({differences(expected, found)}: expected, found)")
    network = tf.keras.models.load_model(path, compile=False)
    digests = layer_digests(network)
    changed = [layer for layer, digest in found.digests.items() if digests.get(layer) != digest]
    if changed:
        raise UserError(f"{path} is damaged: the weights of {', '.join(changed)} have changed since they were saved")
    return network


def seen_speakers(path: Path) -> frozenset[str]:
    """Speakers that a saved network was trained or selected on. Raises UserError if there is no network."""
    return frozenset(about(path).speakers)


def about(path: Path) -> SavedNetwork:
    """Description of a saved network. Raises UserError if there is no network."""
    settings = path / "emogan.json"
    if not settings.exists():
        raise UserError(f"{path} is not a network saved by emogan: it has no emogan.json")
    return from_json(SavedNetwork, settings.read_text())


def layer_digests(network: tf.keras.Model) -> dict[str, str]:
    """SHA-256 of the weights of each layer with weights, by name; the first 16 hexadecimal digits."""
    return {
        layer.name: hashlib.sha256(
            b"".join(np.ascontiguousarray(w).tobytes() for w in layer.get_weights())
        ).hexdigest()[:16]
        for layer in network.layers
        if layer.weights
    }


def start_from(
    generator: tf.keras.Model,
    discriminator: tf.keras.Model,
    config: RunConfig,
    pretrained: Path,
    class_names: Sequence[str] = (),
) -> list[str]:
    """Transfers pretrained weights to new networks, including the statistics of their input, and freezes the encoder if set.

    If the pretrained networks have other classes, the weights of the condition are not transferred.

    Args:
        generator: newly built G.
        discriminator: newly built D.
        config: settings of the run, with `transfer` and `freeze_encoder`.
        pretrained: folder of pretraining or of another run's calibration, with SavedModels `generator` and `discriminator`.
        class_names: classes of the new networks.

    Returns:
        One line per transferred layer: network, layer, digest of its weights, and whether it is frozen.

    Raises:
        UserError: if a SavedModel does not fit.
    """
    lines = []
    other_classes = _other_classes(pretrained, config.model, class_names)
    readers = networks.condition_readers(config.model)
    for network in (generator, discriminator):
        if network is discriminator and config.transfer != "generator_and_discriminator":
            continue
        model = dataclasses.replace(config.model, num_classes=about(pretrained / network.name).model.num_classes)
        source = load_network(pretrained / network.name, model, network.name)
        digests = layer_digests(source)
        for layer in network.layers:
            encodes = layer.name.startswith("encoder_")
            if layer.name in digests and (
                config.transfer != "encoder" or encodes or layer.name.startswith("standardise_")
            ):
                weights = source.get_layer(layer.name).get_weights()
                keeps_condition = layer.name in readers and other_classes
                if keeps_condition:
                    weights[0] = networks.but_for_the_condition(
                        layer.get_weights()[0], weights[0], config.model.num_classes, *readers[layer.name]
                    )
                layer.set_weights(weights)
                layer.trainable = not (encodes and config.freeze_encoder)
                state = "" if layer.trainable else ", frozen"
                state += ", but for the condition" if keeps_condition else ""
                lines.append(f"{network.name} {layer.name} {digests[layer.name]}{state}")
    return lines


def start_folder(run: RunFolder) -> Path:
    """Folder of the networks that calibration starts from: those of the run's own pretraining, or of another run."""
    return Path(run.config.pretrained) if run.config.pretrained else run.path / "pretrain"


def transfer_trunk(classifier: tf.keras.Model, discriminator: Path) -> None:
    """Initialises the convolution kernels of a classifier of targets from D; its biases, if any, stay."""
    source = load_network(discriminator, role="discriminator")
    for layer in classifier.layers:
        if layer.name.startswith("trunk_") and layer.name.endswith("_conv"):
            kernel = source.get_layer(layer.name).get_weights()[0]
            layer.set_weights([kernel, *layer.get_weights()[1:]])


def _other_classes(pretrained: Path, config: ModelConfig, class_names: Sequence[str]) -> bool:
    """Whether pretrained networks have other classes. (Pretraining uses the null condition, which trains no class weights.)"""
    served = pretrained / "served.json"
    if served.exists():
        return json.loads(served.read_text())["class_names"] != list(class_names)
    return about(pretrained / "generator").model.num_classes != config.num_classes
