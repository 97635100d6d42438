"""Exports a run's generator and best recogniser as a numbered version for TensorFlow Serving.

Public names: export, best_recogniser.
"""

import dataclasses
import json
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from emogan.config import from_json
from emogan.errors import UserError
from emogan.metrics import intervals
from emogan.serving import signatures
from trainers.release import server_files
from trainers.runs.config import RunConfig
from trainers.runs.folder import folder_atomically, read_metrics, recogniser_path
from trainers.runs.recognisers import RECOGNISERS, recognisers
from trainers.runs.saved_networks import layer_digests, load_network, seen_speakers


def export(run_dir: Path, output_dir: Path, version: int | None = None) -> Path:
    """Atomically writes a version with a run's generator, if it has one, and its best recogniser.

    Args:
        run_dir: folder of the run.
        output_dir: parent folder of all versions: the model's base path on a server.
        version: number of the version, above 0; None for the next one.

    Returns:
        `<output_dir>/<version>`.

    Raises:
        UserError: if `run_dir` has no trained recogniser, its generator is not calibrated yet or generates faces, or the
            version exists.
    """
    config_file, calibrated = run_dir / "config.json", run_dir / "calibrate"
    config = from_json(RunConfig, config_file.read_text()) if config_file.exists() else None
    name, number, accuracy = best_recogniser(run_dir, config) if config else ("", 0, 0.0)
    generates = bool(config and config.schedule != "none")
    if config is None or not name or (generates and not (calibrated / "generator").exists()):
        raise UserError(
            f"{run_dir} has no trained recogniser, or its generator is not calibrated yet; run `python -m "
            f"trainers.progressive --run_dir={run_dir} ...`"
        )
    if config.model.direction != "face_to_audio":
        raise UserError(f"{run_dir} has direction {config.model.direction}; only face_to_audio can be exported")
    recogniser = recogniser_path(run_dir, name, number)
    versions = signatures.versions(output_dir)
    if version in versions:
        raise UserError(f"{output_dir / str(version)} already exists; omit --version for the next one")
    folder = output_dir / str(version or [0, *versions][-1] + 1)
    written = (calibrated if generates else run_dir / f"recognise_{name}") / "served.json"
    settings = dataclasses.replace(
        from_json(signatures.ServedSettings, written.read_text()),
        generates=generates,
        recogniser=_card(run_dir, name, accuracy, len(seen_speakers(recogniser))),
    )
    generator = load_network(calibrated / "generator", config.model, "generator") if generates else None
    classifier = load_network(recogniser, config.model, "classifier")
    with folder_atomically(folder) as part:
        signatures.save_served(generator, classifier, settings, part)
        extra = part / signatures.EXTRA
        speakers = seen_speakers(recogniser)
        if generates:
            speakers |= seen_speakers(calibrated / "generator")
        networks = [network for network in (generator, classifier) if network is not None]
        (extra / "provenance.json").write_text(_provenance(run_dir, config, settings, networks, speakers))
        server_files.write_requests(part)
    server_files.write_settings(output_dir / "server")
    return folder


def best_recogniser(run_dir: Path, config: RunConfig) -> tuple[str, int, float]:
    """Selects the recogniser of a run with the highest validation accuracy of its saved weights.

    Recognisers of generated spectrograms alone are excluded, and the oracle's, which use labels that a user does not have.

    Returns:
        Its name, the number of its training, and that accuracy; an empty name if none is trained.
    """
    by_stage: dict[str, list[dict[str, Any]]] = {}
    for line in read_metrics(run_dir):
        if "val_accuracy" in line:
            by_stage.setdefault(line["stage"], []).append(line)
    candidates = [("", 0, -1.0)]
    for name in recognisers(config):
        if not RECOGNISERS[name].real or RECOGNISERS[name].added == "left_out":
            continue
        for number in range(config.recognise_seeds):
            path = recogniser_path(run_dir, name, number)
            lines = by_stage.get(str(path.parent.relative_to(run_dir)), [])
            if path.exists() and lines:
                accuracies = [line["val_accuracy"] for line in lines]
                best = RECOGNISERS[name].config(config).weights == "best"
                candidates.append((name, number, max(accuracies) if best else accuracies[-1]))
    return max(candidates, key=lambda candidate: candidate[2])


def _card(run_dir: Path, name: str, validation_accuracy: float, speakers: int) -> signatures.RecogniserCard:
    lines = [line for line in read_metrics(run_dir) if line["stage"] == "recognised" and line["recogniser"] == name]
    tested = np.array([line["right"] / line["n"] for line in lines if "speaker" in line])
    estimate = intervals.t_interval(tested, "speakers") if len(tested) > 1 else None
    return signatures.RecogniserCard(
        name=name,
        trained_on=RECOGNISERS[name].data,
        speakers=speakers,
        validation_accuracy=validation_accuracy,
        accuracy=float(tested.mean()) if len(tested) else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        test_speakers=len(tested),
    )


def _provenance(
    run_dir: Path,
    config: RunConfig,
    settings: signatures.ServedSettings,
    networks: Sequence[tf.keras.Model],
    speakers: frozenset[str],
) -> str:
    """Provenance of a model as JSON: run, settings, digests of the weights, versions, speakers seen, licences of the data."""
    about = {
        "run": run_dir.resolve().name,
        "licences": settings.licences,
        "versions": {name: metadata.version(name) for name in ("emogan", "tensorflow")},
        "digests": {network.name: layer_digests(network) for network in networks},
        "speakers": sorted(speakers),
        "config": dataclasses.asdict(config),
    }
    return json.dumps(about, indent=2)
