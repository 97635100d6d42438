"""Networks as SavedModels that know what they are, and what is transferred from pretraining.

Public names: save_network, load_network, about, seen_speakers, layer_digests, start_from, start_folder, transfer_trunk.
"""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from emogan import networks  # whose layers must be registered before a SavedModel with them is read
from emogan.config import OF_THE_GAN_ALONE, ModelConfig, differences, from_json, to_json
from emogan.errors import UserError
from trainers.runs.config import FORMAT, RunConfig
from trainers.runs.folder import RunFolder, folder_atomically


@dataclasses.dataclass(frozen=True, kw_only=True)
class SavedNetwork:
    """What lies beside a SavedModel, in emogan.json.

    Attributes:
        role: generator, discriminator or classifier.
        model: the settings it was built from.
        digests: `layer_digests` of its weights.
        speakers: whom it was trained or selected on, itself or what it was transferred from; see `Corpus.speakers`.
        format: `FORMAT` of the version that wrote it.
    """

    role: str
    model: ModelConfig
    digests: dict[str, str]
    speakers: list[str]
    format: int = FORMAT


def save_network(network: tf.keras.Model, config: ModelConfig, path: Path, speakers: Collection[str]) -> None:
    """Writes a network as a SavedModel without optimizer, with its `SavedNetwork` beside it, whole or not at all.

    Keras rebuilds it from its configuration, so only its signature is traced, not each layer: a third of the time.
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
    """Reads `save_network`'s folder, ready to go on training.

    Args:
        path: the folder.
        config: what it must have been made with, if given; a classifier may be of another GAN.
        role: what it must be, if given: generator, discriminator or classifier.
        unseen: speakers on whom it must not have been trained or selected, since it is to be tested on them.

    Raises:
        UserError: where there is no such folder, it was made with other settings or by another version, it is another
            network, it knows one of `unseen`, or its weights are not those that were saved.
    """
    found = about(path)
    known = set(unseen).intersection(found.speakers)
    if known:
        raise UserError(f"{path} was trained or selected on {min(known)}, and must not be tested on that speaker")
    model = config or found.model
    if found.role == "classifier":
        model = dataclasses.replace(model, **{name: getattr(found.model, name) for name in OF_THE_GAN_ALONE})
    wanted = dataclasses.replace(found, format=FORMAT, role=role or found.role, model=model)
    if found != wanted:
        raise UserError(f"{path} does not fit ({differences(wanted, found)}: wanted, there); give one that was made so")
    network = tf.keras.models.load_model(path, compile=False)
    digests = layer_digests(network)
    changed = [layer for layer, digest in found.digests.items() if digests.get(layer) != digest]
    if changed:
        raise UserError(f"{path} is damaged: the weights of {', '.join(changed)} are not those that were saved")
    return network


def seen_speakers(path: Path) -> frozenset[str]:
    """Whom a saved network was trained or selected on. Raises UserError where there is none."""
    return frozenset(about(path).speakers)


def about(path: Path) -> SavedNetwork:
    """What lies beside a saved network. Raises UserError where there is none."""
    settings = path / "emogan.json"
    if not settings.exists():
        raise UserError(f"{path} holds no network of this package (it has no emogan.json)")
    return from_json(SavedNetwork, settings.read_text())


def layer_digests(network: tf.keras.Model) -> dict[str, str]:
    """The SHA-256 sum of the weights of every layer that has any, by its name; 16 hexadecimal digits."""
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
    """Gives fresh networks the weights that calibration takes over, statistics of their input included, and freezes the encoder
    if wanted.

    The networks may be of other classes: the weights by which G and D read the condition are then left as they are.

    Args:
        generator: G as it was built.
        discriminator: D as it was built.
        config: says what is transferred, and what stays as it is then.
        pretrained: the folder of pretraining or of another run's calibration, with SavedModels `generator` and `discriminator`.
        class_names: of the conditions to come.

    Returns:
        A line for each layer that was transferred: network, layer, digest of its weights, and whether it is frozen.

    Raises:
        UserError: where a SavedModel does not fit.
    """
    lines = []
    other_classes = _other_classes(pretrained, config.model, class_names)
    readers = networks.condition_readers(config.model)
    for network in (generator, discriminator):
        if network is discriminator and config.transfer != "generator_and_discriminator":
            continue
        made_as = dataclasses.replace(config.model, num_classes=about(pretrained / network.name).model.num_classes)
        source = load_network(pretrained / network.name, made_as, network.name)
        digests = layer_digests(source)
        for layer in network.layers:
            encodes = layer.name.startswith("encoder_")
            if layer.name in digests and (
                config.transfer != "encoder" or encodes or layer.name.startswith("standardise_")
            ):
                weights = source.get_layer(layer.name).get_weights()
                anew = layer.name in readers and other_classes
                if anew:
                    weights[0] = networks.but_for_the_condition(
                        layer.get_weights()[0], weights[0], config.model.num_classes, *readers[layer.name]
                    )
                layer.set_weights(weights)
                layer.trainable = not (encodes and config.freeze_encoder)
                state = "" if layer.trainable else ", frozen"
                state += ", but for the condition" if anew else ""
                lines.append(f"{network.name} {layer.name} {digests[layer.name]}{state}")
    return lines


def start_folder(run: RunFolder) -> Path:
    """Where the networks lie that a run begins calibration from: its own pretraining's, or another run's."""
    return Path(run.config.pretrained) if run.config.pretrained else run.path / "pretrain"


def transfer_trunk(classifier: tf.keras.Model, discriminator: Path) -> None:
    """Gives a classifier of targets the kernels of D's convolutions; its own biases, where it has any, stay."""
    source = load_network(discriminator, role="discriminator")
    for layer in classifier.layers:
        if layer.name.startswith("trunk_") and layer.name.endswith("_conv"):
            kernel = source.get_layer(layer.name).get_weights()[0]
            layer.set_weights([kernel, *layer.get_weights()[1:]])


def _other_classes(pretrained: Path, config: ModelConfig, class_names: Sequence[str]) -> bool:
    """Whether networks are of other classes. (Pretraining has the null condition, which trains no weights of any class.)"""
    served = pretrained / "served.json"
    if served.exists():
        return json.loads(served.read_text())["class_names"] != list(class_names)
    return about(pretrained / "generator").model.num_classes != config.num_classes
