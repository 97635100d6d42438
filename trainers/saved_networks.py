"""Networks as SavedModels that know what they are, and what calibration takes over from pretraining.

Public names: save_network, load_network, seen_speakers, layer_digests, start_from.
"""

import dataclasses
import hashlib
from collections.abc import Collection
from pathlib import Path

import numpy as np
import tensorflow as tf

import emogan.networks  # noqa: F401  (its layers must be registered before a SavedModel with them is read)
from emogan.config import FORMAT, ModelConfig, RunConfig, differences, from_json, to_json
from emogan.errors import UserError
from trainers.run_folder import folder_atomically


@dataclasses.dataclass(frozen=True, kw_only=True)
class SavedNetwork:
    """What lies beside a SavedModel, in emogan.json.

    Attributes:
        role: generator, discriminator or classifier.
        model: the settings it was built from.
        digests: `layer_digests` of its weights.
        speakers: whom it was trained or selected on, itself or what it was taken over from; see `Corpus.speakers`.
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
        config: what it must have been made with, if given.
        role: what it must be, if given: generator, discriminator or classifier.
        unseen: speakers on whom it must not have been trained or selected, since it is to be tested on them.

    Raises:
        UserError: where there is no such folder, it was made with other settings or by another version, it is another
            network, it knows one of `unseen`, or its weights are not those that were saved.
    """
    found = _about(path)
    known = set(unseen).intersection(found.speakers)
    if known:
        raise UserError(f"{path} was trained or selected on {min(known)}, and must not be tested on that speaker")
    wanted = dataclasses.replace(found, format=FORMAT, role=role or found.role, model=config or found.model)
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
    return frozenset(_about(path).speakers)


def _about(path: Path) -> SavedNetwork:
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
    generator: tf.keras.Model, discriminator: tf.keras.Model, config: RunConfig, pretrained: Path
) -> list[str]:
    """Gives fresh networks the weights that calibration takes over, statistics of their input included, and freezes the encoder
    if wanted.

    The networks may be of another number of classes: what reads the condition is then left as it is.

    Args:
        generator: G as it was built.
        discriminator: D as it was built.
        config: says what is taken over, and what stays as it is then.
        pretrained: the folder of pretraining, with SavedModels `generator` and `discriminator`.

    Returns:
        A line for each layer that was taken over: network, layer, digest of its weights, and whether it is frozen.

    Raises:
        UserError: where a SavedModel does not fit.
    """
    lines = []
    for network in (generator, discriminator):
        if network is discriminator and config.take_over != "generator_and_discriminator":
            continue
        other_classes = _about(pretrained / network.name).model.num_classes
        made_as = dataclasses.replace(config.model, num_classes=other_classes)
        source = load_network(pretrained / network.name, made_as, network.name)
        digests = layer_digests(source)
        for layer in network.layers:
            encodes = layer.name.startswith("encoder_")
            if layer.name in digests and (
                config.take_over != "encoder" or encodes or layer.name.startswith("standardise_")
            ):
                pairs = list(zip(layer.get_weights(), source.get_layer(layer.name).get_weights(), strict=True))
                layer.set_weights([_taken(mine, theirs, config.model, other_classes) for mine, theirs in pairs])
                layer.trainable = not (encodes and config.freeze_encoder)
                state = "" if layer.trainable else ", frozen"
                if any(mine.shape != theirs.shape for mine, theirs in pairs):
                    state += f", but for {other_classes} classes"
                lines.append(f"{network.name} {layer.name} {digests[layer.name]}{state}")
    return lines


def _taken(mine: np.ndarray, theirs: np.ndarray, config: ModelConfig, other_classes: int) -> np.ndarray:
    """Weights to take over; where G reads the condition, between what the encoder gives and the noise, `mine` are kept."""
    if mine.shape == theirs.shape:
        return theirs
    axis = [a == b for a, b in zip(mine.shape, theirs.shape, strict=True)].index(False)
    classes = mine.shape[axis] - config.noise_dim - config.num_classes
    before, _, after = np.split(theirs, [classes, classes + other_classes], axis)
    own = np.split(mine, [classes, classes + config.num_classes], axis)[1]
    return np.concatenate([before, own, after], axis)
