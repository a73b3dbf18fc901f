"""What every test shares: few threads, no window, no network. Seeds belong to the tests."""

import os

# Before anything imports them, and inherited by the processes that tests start.
os.environ["MPLBACKEND"] = "Agg"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import torch

torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)
