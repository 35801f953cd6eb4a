"""What runs in the worker process: frames, windows, filling, writing."""
