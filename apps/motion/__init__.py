"""Motion: several forecasts of how a still image moves in the next second."""
