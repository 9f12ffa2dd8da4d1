"""Pictures from arrays: sheets, points on images, animations. Knows nothing of models or loops."""
