"""The core on data whose truth is known: digits, sprites and the tools of the latent space."""
