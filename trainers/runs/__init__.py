"""What a run is, and the loop that trains: settings, folder, data, checkpoints, devices."""
