"""Kernels in C++ for processors with AVX-512 and bf16 dot products: one pass over memory each, attention in
the cache."""
