"""The worker beside what else one might build it from: one load, one broker, in turns within one run."""
