"""Served inference: the replicas of endpoints, between those who ask and the processes that hold models."""
