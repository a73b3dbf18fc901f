"""The domains and the faces of the suite."""
