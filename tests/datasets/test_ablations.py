"""Each ablation changes its own input, in training and in generation, and nothing else."""

import numpy as np
import pytest
import tensorflow as tf

from datasets import input_pipeline, streams
from datasets.ablations import ablate_sources, blank

COUNT = 4


@pytest.fixture
def batch(rng):
    """A function that returns the first batch of four examples with an ablation."""
    examples = {
        "face": rng.integers(0, 255, (COUNT, 16, 16, 3), np.uint8),
        "spectrogram": rng.uniform(-1, 1, (COUNT, 16, 16, 1)).astype(np.float16),
        "label": np.arange(COUNT),
    }

    def batch(ablation):
        numbered = streams.epochs([(tf.data.Dataset.from_tensor_slices(examples), COUNT)], batch_size=COUNT, seed=2)
        condition = input_pipeline.label_condition(6)
        settings = {"batch_size": COUNT, "noise_dim": 5, "seed": 2, "ablation": ablation}
        return next(iter(input_pipeline.gan_batches(numbered, condition, **settings)))

    return batch


def test_an_ablation_changes_its_input_only(batch):
    plain = batch("none")
    assert plain.keys() == {"source", "target", "condition", "noise", "key"}
    for ablation in ("shuffled_faces", "no_face", "shuffled_labels"):
        ablated = batch(ablation)
        changed = {name for name in plain if (ablated[name].numpy() != plain[name].numpy()).any()}
        assert changed == {"condition" if ablation == "shuffled_labels" else "source"}


@pytest.mark.parametrize(("ablation", "name"), [("shuffled_faces", "source"), ("shuffled_labels", "condition")])
def test_a_shuffle_replaces_every_example_by_another(batch, ablation, name):
    own, others = batch("none")[name].numpy(), batch(ablation)[name].numpy()
    assert not any((a == b).all() for a, b in zip(own, others, strict=True))
    np.testing.assert_array_equal(sorted(map(np.ndarray.tolist, others)), sorted(map(np.ndarray.tolist, own)))


def test_no_face_is_the_same_grey_in_training_and_in_generation(batch, rng):
    trained_on = batch("no_face")["source"].numpy()
    assert np.unique(trained_on).tolist() == pytest.approx([128 / 127.5 - 1], abs=1e-6)
    faces = rng.integers(0, 255, (2, 16, 16, 3), np.uint8)
    np.testing.assert_array_equal(
        input_pipeline.to_input(tf.constant(ablate_sources(faces, "no_face"))), trained_on[:2]
    )


def test_a_blank_spectrogram_is_silence(rng):
    spectrograms = rng.uniform(-1, 1, (2, 4, 4, 1)).astype(np.float16)
    np.testing.assert_array_equal(blank(tf.constant(spectrograms)), np.full_like(spectrograms, -1))
    np.testing.assert_array_equal(ablate_sources(spectrograms, "no_face"), np.full_like(spectrograms, -1))


def test_sources_in_generation_are_shuffled_or_unchanged():
    faces = np.arange(3)[:, np.newaxis]
    assert ablate_sources(faces, "shuffled_faces").ravel().tolist() == [2, 0, 1]
    assert ablate_sources(faces, "shuffled_labels") is faces
    assert ablate_sources(faces, "none") is faces
