"""Parts of the study of local edits: regions, directions, the change they make, tables."""
