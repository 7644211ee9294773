"""Measurements that anyone can repeat: our tools beside the ones people use today."""
