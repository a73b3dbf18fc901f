"""The border between tensors and disk: a folder a model, every file checked."""
