"""Mixture density networks: from features to a mixture of Gaussians, its modes and answers."""
