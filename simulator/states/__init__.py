"""Reads what a file of training state holds, tensor by tensor, without the framework that wrote it."""
