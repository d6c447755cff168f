"""From pinned wheels and C++ sources to the library, patched MXNets and their wheels."""
