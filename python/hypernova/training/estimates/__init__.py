"""Estimate each model's success in each cluster, with its errors."""
