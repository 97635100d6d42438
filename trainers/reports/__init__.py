"""Pages, tables and images for people."""
