"""Photographs on a cluster of Ray: the driver plans and reports, actors matte."""
