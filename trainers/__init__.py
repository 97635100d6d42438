"""Commands: everything that touches flags, disk or devices."""
