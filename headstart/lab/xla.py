"""How XLA runs on a CPU, decided before JAX starts."""

import os

CALM = "--xla_cpu_multi_thread_eigen=false"


def calm() -> None:
    """Keeps XLA's operations on one thread each, unless XLA_FLAGS says otherwise.

    Nets as small as these gain nothing by more, and with few cores the threads have been seen to wait for each other
    for ever (jax#24255, and reports of `block_until_ready` that never returns). It counts until JAX's first operation.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_multi_thread_eigen" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {CALM}".strip()
