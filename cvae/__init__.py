"""The core: conditional variational autoencoders. Knows no colours, faces or motion."""
