"""The parts of a run: settings, folder, data, devices, checkpoints, and the training loop."""
