"""Motion: dense flow, trajectories, rendering and drawing. Knows no models."""
