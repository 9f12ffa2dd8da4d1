"""Figures of quality: what an edit kept, and how far it went. They know arrays, not models or loops."""
