"""In place of the toolkit's extension in C: it wants a compiler, which the image has not, and only MPI runs load it.

The toolkit imports it whatever it runs, and looks no further than its file name.
"""
