"""Where the workers' group goes on, set by a person after its offsets are gone or its log is another one."""
