"""What the simulator costs, against what one would use instead; every figure is a ratio taken within one run."""
