"""How the container learns that its instance goes: for now a file, whose path is in its environment."""
