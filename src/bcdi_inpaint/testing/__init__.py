"""A simulated beamline: devices and file writers, for profiles, demo and tests."""
