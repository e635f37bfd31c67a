"""The doctor's child: says what torch finds here, loads a checkpoint and labels a post with it.

In a process of its own, because it may hang, run out of memory or be killed, and the doctor has to say so.
"""

import math
import time

from worker.isolation.child_process import become_child, received_settings

TEXT = "oh great, another monday"


def main() -> None:
    """Say two lines: the device, then the model; the second one may say why there is none."""
    say = become_child()
    settings = received_settings()
    if settings is None:
        return
    import torch

    say(
        threads=torch.get_num_threads(),
        cuda=torch.cuda.is_available(),
        mps=torch.backends.mps.is_available(),
        cuda_name=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        bf16=not torch.cuda.is_available() or torch.cuda.is_bf16_supported(including_emulation=False),
    )
    from mmorient import MmOrientError, Moderator, Post

    try:
        started = time.perf_counter()
        moderator = Moderator.from_checkpoint(
            settings.checkpoint,
            device=settings.device,
            precision=settings.precision,
            graph_context=settings.graph_context,
            compiled=settings.compiled,
            cuda_graphs=settings.cuda_graphs,
            thresholds=settings.thresholds.by_task(),
        )
        loaded = time.perf_counter()
        differences = moderator.prove()
        proved = time.perf_counter()
        labels = moderator.label([Post(text=TEXT)])[0]
        probabilities = [value for task in labels.tasks.values() for value in task.probabilities.values()]
        say(
            name=moderator.identity.name,
            checkpoint=moderator.identity.checkpoint,
            load_seconds=loaded - started,
            label_seconds=time.perf_counter() - proved,
            arithmetic=moderator.identity.arithmetic,
            differences=differences,
            finite=all(map(math.isfinite, probabilities)),
        )
    except (MmOrientError, ValueError, RuntimeError, OSError, ImportError) as error:
        say(failed=str(error) or repr(error))


if __name__ == "__main__":
    main()
