"""What all tests share."""

import os

from hypothesis import settings

# CI asks the same questions every time; a run by hand asks new ones.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
