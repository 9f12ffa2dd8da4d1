"""Drag editing of StyleGAN2 images, compiled."""
