"""Served models: their signatures, the connections to them, and the web page."""
