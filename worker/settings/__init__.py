"""Settings, a file for each group or for a few small ones.

Everything inside the worker takes plain arguments. Names carry unit and limit.
"""

from worker.settings.kafka import KafkaSettings
from worker.settings.labelling import BatchSettings, GuardSettings, ThresholdSettings
from worker.settings.loading import Settings, in_the_open, load_settings
from worker.settings.media import MediaSettings
from worker.settings.observing import DriftSettings, ShadowSettings, TraceSettings
from worker.settings.page import PageSettings
from worker.settings.process import HttpSettings, LogSettings, StackSettings
from worker.settings.redis import RedisSettings
from worker.settings.serving import ServeSettings

__all__ = [
    "BatchSettings",
    "DriftSettings",
    "GuardSettings",
    "HttpSettings",
    "KafkaSettings",
    "LogSettings",
    "MediaSettings",
    "PageSettings",
    "RedisSettings",
    "ServeSettings",
    "Settings",
    "ShadowSettings",
    "StackSettings",
    "ThresholdSettings",
    "TraceSettings",
    "in_the_open",
    "load_settings",
]
