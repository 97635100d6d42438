"""Files of sound and video, whatever their kind: which there are, how they are opened, and their sound."""
