"""What runs in the RunEngine's process: routing, queue, run table, supervision of the worker."""
