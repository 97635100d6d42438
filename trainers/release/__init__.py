"""What leaves a run: exported models, augmented corpora, files for servers."""
