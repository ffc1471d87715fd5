"""A Ray of a test module's own, with Serve but without its proxy."""

from __future__ import annotations

import gc
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray import serve


@contextmanager
def serving_ray() -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="dllm-ray-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=80 << 20,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=directory,
        )
        try:
            serve.start(proxy_location="Disabled")
            yield
        finally:
            serve.shutdown()
            ray.shutdown()
            with warnings.catch_warnings():
                # Ray lets go of its processes without having waited for them.
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()
