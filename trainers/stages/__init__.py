"""The stages of a run, each resumable, and what they measure."""
