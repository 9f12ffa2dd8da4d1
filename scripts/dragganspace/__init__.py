"""The parts of the DragGANSpace study (`scripts/dragganspace_study.py`)."""
