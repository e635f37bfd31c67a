"""The child of `worker/shadow/parent.py`: `python -m worker.shadow.child_main`."""

from worker.isolation.child_process import become_child, received_settings
from worker.isolation.priority import lower_priority


def main() -> None:
    """Serve the parent until it closes our standard input."""
    say = become_child()
    lower_priority("idle")
    settings = received_settings()
    if settings is None:
        return
    # Only now: these start threads, which inherit the priority.
    from worker.shadow.child import serve

    serve(settings, say)


if __name__ == "__main__":
    main()
