"""`export`: a run's calibrated generator as a numbered version for TensorFlow Serving."""

from pathlib import Path

from emogan import serving
from emogan.config import RunConfig, from_json
from emogan.errors import UserError
from trainers.run_folder import folder_atomically
from trainers.saved_networks import load_network


def export(run_dir: Path, output_dir: Path) -> Path:
    """Writes the next version of a run's generator, whole or not at all, and returns `<output_dir>/<version>`.

    Raises:
        UserError: where `run_dir` holds no calibrated generator.
    """
    config_file, generator = run_dir / "config.json", run_dir / "calibrate" / "generator"
    if not (config_file.exists() and generator.exists()):
        raise UserError(
            f"{run_dir} holds no calibrated generator; run `python -m trainers.progressive --run_dir={run_dir} ...`"
        )
    config = from_json(RunConfig, config_file.read_text())
    if config.model.direction != "face_to_sound":
        raise UserError(f"{run_dir} made faces from sound; only generators of spectrograms from faces are served")
    settings = from_json(serving.ServedSettings, (run_dir / "calibrate" / "served.json").read_text())
    versions = [int(p.name) for p in output_dir.iterdir() if p.name.isdigit()] if output_dir.exists() else []
    version = output_dir / str(max(versions, default=0) + 1)
    with folder_atomically(version) as part:
        serving.save_served(load_network(generator, config.model, "generator"), settings, part)
    return version
