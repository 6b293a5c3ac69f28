"""Serving: what is kept of each key so that it can be asked at any later time, and the stores that hold it."""
