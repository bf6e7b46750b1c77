"""The local mode runtime held to the contract of all runtimes, both ways in, and to its own promises."""
