"""Scaling simulated from measured figures: what lag and cost a set of KEDA's settings would bring."""
