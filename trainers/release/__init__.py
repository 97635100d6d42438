"""Outputs of a finished run: exported models, files for servers, generated datasets."""
