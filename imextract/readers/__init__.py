"""Readers of microscope files, behind one protocol."""
