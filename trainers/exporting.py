"""`export`: a run's calibrated generator and strong recogniser as a numbered version for TensorFlow Serving, with all that goes
with them.
"""

import dataclasses
import json
from importlib import metadata
from pathlib import Path

import tensorflow as tf

from emogan import serving
from emogan.config import from_json
from emogan.errors import UserError
from trainers import server_files
from trainers.classifying import recogniser_path
from trainers.run_config import RunConfig
from trainers.run_folder import folder_atomically
from trainers.saved_networks import layer_digests, load_network, seen_speakers


def export(run_dir: Path, output_dir: Path, version: int = 0) -> Path:
    """Writes a version of a run's generator and strong recogniser, whole or not at all; returns `<output_dir>/<version>`.

    Args:
        run_dir: the run's folder.
        output_dir: of all versions; what a server is given as the model's base path.
        version: its number, above 0; or 0 for the next one.

    Raises:
        UserError: where `run_dir` holds no calibrated generator or no strong recogniser, or the version is there.
    """
    config_file, calibrated, recogniser = (
        run_dir / "config.json",
        run_dir / "calibrate",
        recogniser_path(run_dir, "strong"),
    )
    if not (config_file.exists() and (calibrated / "generator").exists() and recogniser.exists()):
        raise UserError(
            f"{run_dir} holds no calibrated generator with a strong recogniser; run `python -m trainers.progressive "
            f"--run_dir={run_dir} ...`"
        )
    config = from_json(RunConfig, config_file.read_text())
    if config.model.direction != "face_to_sound":
        raise UserError(f"{run_dir} made faces from sound; only generators of spectrograms from faces are served")
    settings = from_json(serving.ServedSettings, (calibrated / "served.json").read_text())
    versions = serving.versions(output_dir)
    if version in versions:
        raise UserError(f"{output_dir / str(version)} is there already; leave out --version for the next one")
    folder = output_dir / str(version or [0, *versions][-1] + 1)
    generator = load_network(calibrated / "generator", config.model, "generator")
    classifier = load_network(recogniser, config.model, "classifier")
    with folder_atomically(folder) as part:
        serving.save_served(generator, classifier, settings, part)
        extra = part / serving.EXTRA
        speakers = seen_speakers(calibrated / "generator") | seen_speakers(recogniser)
        (extra / "provenance.json").write_text(
            _provenance(run_dir, config, settings, [generator, classifier], speakers)
        )
        server_files.write_requests(part)
    server_files.write_settings(output_dir / "server")
    return folder


def _provenance(
    run_dir: Path,
    config: RunConfig,
    settings: serving.ServedSettings,
    networks: list[tf.keras.Model],
    speakers: frozenset[str],
) -> str:
    """Where a model comes from: run and settings, digests of its weights, versions, whom it knows, licences of its data."""
    about = {
        "run": run_dir.resolve().name,
        "licences": settings.licences,
        "versions": {name: metadata.version(name) for name in ("emogan", "tensorflow")},
        "digests": {network.name: layer_digests(network) for network in networks},
        "speakers": sorted(speakers),
        "config": dataclasses.asdict(config),
    }
    return json.dumps(about, indent=2)
