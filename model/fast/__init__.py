"""The networks' predictions computed faster on a CPU: the same results, asked for by name."""
