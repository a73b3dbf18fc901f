"""Several processes on one model, as `torchrun` starts them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist


@contextmanager
def process_group(device: torch.device) -> Iterator[torch.device]:
    """Join the processes that `torchrun` started, and leave them at the end.

    Started in any other way this does nothing. GPUs talk through NCCL and each process takes its
    own; CPUs talk through gloo.

    Args:
        device: of the kind to train on.

    Yields:
        The device of this process.

    Example:
        >>> with process_group(torch.device("cpu")) as device:
        ...     print(device)
        cpu
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
        yield device
        return
    gpu = device.type == "cuda"
    if gpu:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if gpu else "gloo", device_id=device if gpu else None)
    try:
        yield device
    finally:
        dist.destroy_process_group()
