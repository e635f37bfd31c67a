"""The subcommands of `moderate`, one a folder, and what they share. A command knows no other one, apart from those that the table of imports names."""
