"""A checkpoint on the disk: loaded, saved, inspected. The only code that knows the files of a checkpoint."""
