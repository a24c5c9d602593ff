// Gradient of the causal attention of packed documents: weights are computed again from the scores and the log-sum-exp.
//
// With weights P, upstream gradient G, scores S = scale·Q·Kᵀ and O = P·V:
//   dV = Pᵀ·G    dP = G·Vᵀ    dS = P∘(dP - rowsum(P∘dP))    dQ = scale·dS·K    dK = scale·dSᵀ·Q
// All keys of a row lie in one block, so rowsum(P∘dP) needs no saved output.
#include "documents.h"

namespace {

// P = 2^(scale·S - lse), dS = P·(dP - Σ P·dP)·(scale/log2 e) of two neighbouring rows; both as row pairs, dS as rows too.
struct Slopes {
  uint32_t *weight_pairs, *slope_pairs;
  bf16* slopes;
};

void slopes_of_pair(float* scores, float* upstream, index_t width, index_t used, const index_t valid[2], const float lse[2], float scale,
                    Slopes out) {
  float delta[2];
  for (int r = 0; r < 2; r++) {
    float *s = scores + r * width, *g = upstream + r * width;
    const __m512 factor = _mm512_set1_ps(scale), shift = _mm512_set1_ps(-lse[r]);
    __m512 sum = _mm512_setzero_ps();
    for (index_t j = 0; j < used; j += 16) {
      const __mmask16 mask = first(valid[r] - j);
      const __m512 p = _mm512_maskz_mov_ps(mask, exp2(_mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, s + j), factor, shift)));
      sum = _mm512_fmadd_ps(p, _mm512_maskz_loadu_ps(mask, g + j), sum);
      _mm512_storeu_ps(s + j, p);
    }
    delta[r] = _mm512_reduce_add_ps(sum);
  }
  const __m512 natural = _mm512_set1_ps(scale * LN2);
  for (index_t j = 0; j < used; j += 16) {
    __m256i weight[2], slope[2];
    for (int r = 0; r < 2; r++) {
      const __m512 p = _mm512_loadu_ps(scores + r * width + j);
      const __m512 g = _mm512_sub_ps(_mm512_maskz_loadu_ps(first(valid[r] - j), upstream + r * width + j), _mm512_set1_ps(delta[r]));
      weight[r] = round_bf16(p);
      slope[r] = round_bf16(_mm512_mul_ps(_mm512_mul_ps(p, g), natural));
      _mm256_storeu_si256((__m256i*)(out.slopes + r * width + j), slope[r]);
    }
    _mm512_storeu_si512(out.weight_pairs + j, pair(weight[0], weight[1]));
    _mm512_storeu_si512(out.slope_pairs + j, pair(slope[0], slope[1]));
  }
}

// Rows p..p+rows of one head as row pairs, zero past the last.
void pack_block(const bf16* x, index_t ld, index_t rows, index_t size, uint32_t* out) {
  for (index_t r = 0; r < rows; r += 2)
    for (index_t i = 0; i < size; i += 16) {
      const __m256i low = _mm256_loadu_si256((const __m256i*)(x + r * ld + i));
      const __m256i high = r + 1 < rows ? _mm256_loadu_si256((const __m256i*)(x + (r + 1) * ld + i)) : _mm256_setzero_si256();
      _mm512_storeu_si512(out + r / 2 * size + i, pair(low, high));
    }
}

struct Gradients {
  bf16* qkv;  // [rows, ld], queries, keys and values side by side
  index_t ld;
  float* shared;  // [2, prefix, kv heads · size] of this document, keys then values
};

void write_rows(const float* sums, const Shape& s, const Document& d, index_t column, index_t kv, float* shared, bf16* out, index_t ldo) {
  for (index_t key = 0; key < d.keys(); key++)
    for (index_t i = 0; i < s.size; i += 16) {
      const __m512 v = _mm512_loadu_ps(sums + key * s.size + i);
      if (key < d.prefix)
        _mm512_storeu_ps(shared + (key * s.kv_heads + kv) * s.size + i, v);
      else
        store(out + d.row(key) * ldo + column + i, v);
    }
}

void backward_item(const bf16* qkv, const bf16* upstream, index_t ldu, const float* lse, const Shape& s, const Document& d, index_t kv,
                   float scale, Gradients out, Scratch& scratch) {
  const index_t width = padded(d.keys()), group = s.group(), most = group * (BLOCK / 2);
  scratch.reserve(4 * (s.size / 2 * width * 3 + 2 * width * s.size + 2 * BLOCK * width + BLOCK * width / 2 + 2 * most * width +
                       2 * most * s.size + BLOCK * s.size) + 2048);
  uint32_t* keys = scratch.take<uint32_t>(s.size / 2 * width);
  uint32_t* values = scratch.take<uint32_t>(s.size / 2 * width);
  uint32_t* key_pairs = scratch.take<uint32_t>(width / 2 * s.size);
  float* key_sums = scratch.take<float>(width * s.size);
  float* value_sums = scratch.take<float>(width * s.size);
  float* scores = scratch.take<float>(BLOCK * width);
  float* wanted = scratch.take<float>(BLOCK * width);
  bf16* slopes = scratch.take<bf16>(BLOCK * width);
  uint32_t* weight_pairs = scratch.take<uint32_t>(most * width);
  uint32_t* slope_pairs = scratch.take<uint32_t>(most * width);
  uint32_t* query_pairs = scratch.take<uint32_t>(most * s.size);
  uint32_t* upstream_pairs = scratch.take<uint32_t>(most * s.size);
  float* query_sums = scratch.take<float>(BLOCK * s.size);
  pack_transposed(qkv + s.key_column(kv), s, d, keys, width);
  pack_transposed(qkv + s.value_column(kv), s, d, values, width);
  pack_pairs(qkv + s.key_column(kv), s, d, key_pairs, width);
  std::fill_n(key_sums, width * s.size, 0.0f);
  std::fill_n(value_sums, width * s.size, 0.0f);
  for (index_t p = 0; p < d.length; p += BLOCK) {
    const index_t rows = std::min(BLOCK, d.length - p), pairs = (rows + 1) / 2, used = padded(d.prefix + p + rows);
    const index_t row = d.start + p;
    for (index_t member = 0; member < group; member++) {
      const index_t column = (kv * group + member) * s.size, at = member * pairs;
      const bf16 *query = qkv + row * s.ld + column, *g = upstream + row * ldu + column;
      product<false>(rows_of(query, s.ld), {keys, width}, {scores, width}, rows, used, s.size / 2);
      product<false>(rows_of(g, ldu), {values, width}, {wanted, width}, rows, used, s.size / 2);
      for (index_t r = 0; r < rows; r += 2) {
        const bool two = r + 1 < rows;
        const index_t seen = d.prefix + p + r + 1, valid[2] = {seen, two ? seen + 1 : 0};
        const float* row_lse = lse + (row + r) * s.heads + kv * group + member;
        const float both[2] = {row_lse[0], two ? row_lse[s.heads] : 0.0f};
        const index_t pair_at = (at + r / 2) * width;
        slopes_of_pair(scores + r * width, wanted + r * width, width, used, valid, both, scale,
                       {weight_pairs + pair_at, slope_pairs + pair_at, slopes + r * width});
      }
      product<false>(rows_of(slopes, width), {key_pairs, s.size}, {query_sums, s.size}, rows, s.size, used / 2);
      for (index_t r = 0; r < rows; r++)
        for (index_t i = 0; i < s.size; i += 16)
          store(out.qkv + (row + r) * out.ld + column + i, _mm512_loadu_ps(query_sums + r * s.size + i));
      pack_block(query, s.ld, rows, s.size, query_pairs + at * s.size);
      pack_block(g, ldu, rows, s.size, upstream_pairs + at * s.size);
    }
    const index_t depth = group * pairs;
    product<true>({weight_pairs, 1, width}, {upstream_pairs, s.size}, {value_sums, s.size}, used, s.size, depth);
    product<true>({slope_pairs, 1, width}, {query_pairs, s.size}, {key_sums, s.size}, used, s.size, depth);
  }
  float* shared_values = out.shared ? out.shared + d.prefix * s.kv_heads * s.size : nullptr;
  write_rows(key_sums, s, d, s.key_column(kv), kv, out.shared, out.qkv, out.ld);
  write_rows(value_sums, s, d, s.value_column(kv), kv, shared_values, out.qkv, out.ld);
}

}  // namespace

extern "C" {

// Gradient of queries, keys and values. `shared` [documents, 2, prefix, kv heads · size] receives what each document asks of
// the prefix, summed here in the order of the documents so that the result does not depend on threads.
void attention_backward(const bf16* qkv, index_t ld, const bf16* upstream, index_t ldu, const float* lse, const int64_t* starts,
                        const int64_t* lengths, index_t documents, index_t prefix, index_t heads, index_t kv_heads, index_t size,
                        float scale, float* shared, bf16* gradient, index_t ldg) {
  const Shape shape{heads, kv_heads, size, ld};
  const index_t part = prefix * kv_heads * size;
#pragma omp parallel
  {
    static thread_local Scratch scratch;
#pragma omp for schedule(dynamic)
    for (index_t item = 0; item < documents * kv_heads; item++) {
      const index_t i = item / kv_heads;
      const Document d = document(starts, lengths, i, prefix);
      backward_item(qkv, upstream, ldu, lse, shape, d, item % kv_heads, scale * LOG2E,
                    {gradient, ldg, d.prefix ? shared + 2 * part * i : nullptr}, scratch);
    }
#pragma omp for schedule(static)
    for (index_t row = 0; row < 2 * prefix; row++) {
      const index_t width = kv_heads * size;
      bf16* out = gradient + row % prefix * ldg + (row < prefix ? heads : heads + kv_heads) * size;
      for (index_t j = 0; j < width; j += 16) {
        __m512 sum = load(out + j);
        for (index_t i = 1; i < documents; i++) sum = _mm512_add_ps(sum, _mm512_loadu_ps(shared + 2 * part * i + row * width + j));
        store(out + j, sum);
      }
    }
  }
}
}
