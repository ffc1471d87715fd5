"""Measurements of the engine, as ratios taken side by side in one run."""
