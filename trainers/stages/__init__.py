"""The stages of a run, each resumable, and its metrics."""
