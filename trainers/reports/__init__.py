"""Reports for readers: HTML pages, tables and plots."""
