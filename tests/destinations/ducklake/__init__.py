"""DuckLake in an environment of its own, with a DuckDB whose extensions are Python packages."""
