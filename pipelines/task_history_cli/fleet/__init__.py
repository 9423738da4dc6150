"""All configured accounts at once: which there are, their syncs side by side, and their Dagster definitions."""
