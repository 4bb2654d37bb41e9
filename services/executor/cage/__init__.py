"""Where hostile code runs: a throw-away user in namespaces of its own, under limits, with nothing to take away."""
