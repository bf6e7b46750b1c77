"""Where an attempt runs: one folder a runtime, all behind `port.Runtime`."""
