"""The subcommands of ``scs``, a file each."""
