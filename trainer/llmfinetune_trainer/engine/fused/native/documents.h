// Packed documents as the attention kernels see them: which rows are whose keys, and keys and values packed for products.
//
// A work item is one document and one key/value head: its keys and values are packed once, in the form that the products
// want, and serve all query heads of the group. Queries go in blocks of BLOCK positions, whose scores stay in the cache.
#pragma once
#include <algorithm>

#include "product.h"

namespace {

constexpr index_t BLOCK = 32;

struct Shape {
  index_t heads, kv_heads, size, ld;
  index_t group() const { return heads / kv_heads; }
  index_t key_column(index_t h) const { return (heads + h) * size; }
  index_t value_column(index_t h) const { return (heads + kv_heads + h) * size; }
};

// One document: rows start..start+length after `prefix` shared rows at 0..prefix.
struct Document {
  index_t start, length, prefix;
  index_t keys() const { return prefix + length; }
  index_t row(index_t key) const { return key < prefix ? key : start + key - prefix; }
};

index_t padded(index_t n) { return (n + 15) / 16 * 16; }

// out[k][key] = dword k of row `key`: rows become columns.
void pack_transposed(const bf16* x, const Shape& s, const Document& d, uint32_t* out, index_t ld) {
  for (index_t key = 0; key < ld; key += 16)
    for (index_t k = 0; k < s.size; k += 32) {
      __m512i rows[16];
      for (index_t i = 0; i < 16; i++)
        rows[i] = key + i < d.keys() ? _mm512_loadu_si512(x + d.row(key + i) * s.ld + k) : _mm512_setzero_si512();
      transpose(rows);
      for (index_t i = 0; i < 16; i++) _mm512_store_si512(out + (k / 2 + i) * ld + key, rows[i]);
    }
}

// out[key / 2][i] = (row key, row key + 1) at column i, zero past the last key.
void pack_pairs(const bf16* x, const Shape& s, const Document& d, uint32_t* out, index_t keys) {
  for (index_t key = 0; key < keys; key += 2)
    for (index_t i = 0; i < s.size; i += 16) {
      const __m256i none = _mm256_setzero_si256();
      const __m256i low = key < d.keys() ? _mm256_loadu_si256((const __m256i*)(x + d.row(key) * s.ld + i)) : none;
      const __m256i high = key + 1 < d.keys() ? _mm256_loadu_si256((const __m256i*)(x + d.row(key + 1) * s.ld + i)) : none;
      _mm512_storeu_si512(out + key / 2 * s.size + i, pair(low, high));
    }
}

Left rows_of(const bf16* x, index_t ld) { return {(const uint32_t*)x, ld / 2, 1}; }

// The prefix is a document of its own, the first; the others see it.
Document document(const int64_t* starts, const int64_t* lengths, index_t i, index_t prefix) {
  return {starts[i], lengths[i], prefix > 0 && i > 0 ? prefix : 0};
}

}  // namespace
