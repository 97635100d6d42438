"""The emotion vocabulary. Each corpus maps its own codes to these names in its own builder."""

EMOTIONS: tuple[str, ...] = ("anger", "disgust", "fear", "happy", "neutral", "sad")
"""The six classes, in the order of the condition vector c and of every label."""
