"""The library: pictures of sound and of faces, the networks, their training step, and what is measured."""
