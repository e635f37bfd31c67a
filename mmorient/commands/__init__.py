"""What the subcommands of `mmorient` share: options that name a model, and usage errors in one line."""
