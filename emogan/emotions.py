"""The emotion vocabulary. Each builder maps the codes of its corpus to these names."""

EMOTIONS: tuple[str, ...] = ("anger", "disgust", "fear", "happy", "neutral", "sad")
"""The six classes, in the order of the condition vector c and of every label."""
