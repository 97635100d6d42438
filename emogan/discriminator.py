"""`Discriminator`: D's logits of several pairs of images and sources, without computing anything twice."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from emogan import modulated


class Discriminator:
    """D as functions of its inputs.

    The projection discriminator joins image and source only at its end, so features of an image and the vector of a source
    are computed once for all pairs. Other networks have no such parts: features and vectors are the images and sources
    themselves.

    Args:
        network: D, see `emogan.networks.build_discriminator`.
    """

    def __init__(self, network: tf.keras.Model) -> None:
        self._names = network.input_names[1:]
        self._features, self._vector, self._logits = modulated.in_parts(network) or (None, None, network)

    def features(self, images: Sequence[tf.Tensor], *, training: bool, one_pass: bool = False) -> Sequence[tf.Tensor]:
        """Returns the features of images, each [B, S, S, channels]; all at once with `one_pass`."""
        return images if self._features is None else _apply(self._features, images, training, one_pass)

    def vectors(self, sources: Sequence[tf.Tensor], *, training: bool, one_pass: bool = False) -> Sequence[tf.Tensor]:
        """Returns the vectors of sources, each [B, S, S, channels]; all at once with `one_pass`."""
        return sources if self._vector is None else _apply(self._vector, sources, training, one_pass)

    def logits(
        self, triples: Sequence[tuple[tf.Tensor, tf.Tensor, tf.Tensor]], *, training: bool, one_pass: bool = False
    ) -> Sequence[tf.Tensor]:
        """Returns logits, each [B, ...], of triples of features, condition, [B, num_classes], and vector."""
        inputs = [
            [features, *(condition if name == "condition" else vector for name in self._names)]
            for features, condition, vector in triples
        ]
        return _apply(self._logits, inputs if self._names else [one for (one,) in inputs], training, one_pass)


def _apply(
    network: Callable[..., tf.Tensor], inputs: Sequence[tf.Tensor | list[tf.Tensor]], training: bool, one_pass: bool
) -> Sequence[tf.Tensor]:
    if not one_pass or len(inputs) == 1:
        return [network(one, training=training) for one in inputs]
    together = tf.nest.map_structure(lambda *parts: tf.concat(parts, 0), *inputs)
    return tf.split(network(together, training=training), len(inputs))
