// Normalisation, rotation, gating and dropout: one read and one write of each operand, statistics in fp32.
#include <cmath>

#include "simd.h"

static inline __m512i mix(__m512i x) {
  x = _mm512_xor_si512(x, _mm512_srli_epi32(x, 16));
  x = _mm512_mullo_epi32(x, _mm512_set1_epi32(0x7feb352d));
  x = _mm512_xor_si512(x, _mm512_srli_epi32(x, 15));
  x = _mm512_mullo_epi32(x, _mm512_set1_epi32((int)0x846ca68b));
  return _mm512_xor_si512(x, _mm512_srli_epi32(x, 16));
}

// Lanes to keep: the hash of (seed, row, column) reaches the threshold.
static inline __mmask16 kept(uint32_t row_hash, index_t column, uint32_t threshold) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i x = _mm512_add_epi32(_mm512_set1_epi32((int)(row_hash + (uint32_t)column)), lane);
  return _mm512_cmpge_epu32_mask(mix(x), _mm512_set1_epi32((int)threshold));
}

static inline uint32_t row_hash(uint32_t seed, uint32_t key) {
  const __m512i x = mix(_mm512_set1_epi32((int)(seed + key * 0x9e3779b9u)));
  return (uint32_t)_mm_cvtsi128_si32(_mm512_castsi512_si128(x));
}

extern "C" {

// sum = x + delta (delta may be null: sum = x, not written), out = sum · rstd · weight.
void rms_norm(const bf16* x, index_t ldx, const bf16* delta, const bf16* weight, bf16* sum, bf16* out, index_t ldo, float* rstd,
              index_t rows, index_t size, float eps) {
#pragma omp parallel for schedule(static)
  for (index_t r = 0; r < rows; r++) {
    const bf16* row = x + r * ldx;
    __m512 squares = _mm512_setzero_ps();
    if (delta) {
      for (index_t i = 0; i < size; i += 16)
        store(sum + r * size + i, _mm512_add_ps(load(row + i), load(delta + r * size + i)));
      row = sum + r * size;
    }
    for (index_t i = 0; i < size; i += 16) squares = _mm512_fmadd_ps(load(row + i), load(row + i), squares);
    rstd[r] = 1.0f / std::sqrt(_mm512_reduce_add_ps(squares) / size + eps);
    const __m512 scale = _mm512_set1_ps(rstd[r]);
    for (index_t i = 0; i < size; i += 16)
      store(out + r * ldo + i, _mm512_mul_ps(_mm512_mul_ps(load(row + i), scale), load(weight + i)));
  }
}

// gradient = rstd·(w·g - x̂·mean(w·g·x̂)) with x̂ = x·rstd; added to what `gradient` holds where accumulate is set.
void rms_norm_backward(const bf16* g, index_t ldg, const bf16* x, index_t ldx, const bf16* weight, const float* rstd, bf16* gradient,
                       index_t ldo, index_t rows, index_t size, int accumulate) {
#pragma omp parallel for schedule(static)
  for (index_t r = 0; r < rows; r++) {
    const bf16 *gr = g + r * ldg, *xr = x + r * ldx;
    bf16* out = gradient + r * ldo;
    __m512 dot = _mm512_setzero_ps();
    for (index_t i = 0; i < size; i += 16)
      dot = _mm512_fmadd_ps(_mm512_mul_ps(load(gr + i), load(weight + i)), load(xr + i), dot);
    const float s = rstd[r];
    const __m512 scale = _mm512_set1_ps(s);
    const __m512 pull = _mm512_set1_ps(-_mm512_reduce_add_ps(dot) * s * s * s / size);
    for (index_t i = 0; i < size; i += 16) {
      __m512 v = _mm512_mul_ps(_mm512_mul_ps(load(gr + i), load(weight + i)), scale);
      v = _mm512_fmadd_ps(load(xr + i), pull, v);
      if (accumulate) v = _mm512_add_ps(v, load(out + i));
      store(out + i, v);
    }
  }
}

// Rotates the pairs (i, i + size/2) of every head in place by the angle of the row's position; backwards by its negative.
void rotate(bf16* x, index_t ld, index_t heads, index_t size, const int64_t* positions, const float* cosine, const float* sine,
            index_t rows, float direction) {
  const index_t half = size / 2;
  const __m512 sign = _mm512_set1_ps(direction);
#pragma omp parallel for schedule(static)
  for (index_t r = 0; r < rows; r++) {
    const float *c = cosine + positions[r] * half, *s = sine + positions[r] * half;
    for (index_t h = 0; h < heads; h++) {
      bf16 *low = x + r * ld + h * size, *high = low + half;
      for (index_t i = 0; i < half; i += 16) {
        const __m512 a = load(low + i), b = load(high + i), cv = _mm512_loadu_ps(c + i);
        const __m512 sv = _mm512_mul_ps(_mm512_loadu_ps(s + i), sign);
        store(low + i, _mm512_fnmadd_ps(b, sv, _mm512_mul_ps(a, cv)));
        store(high + i, _mm512_fmadd_ps(a, sv, _mm512_mul_ps(b, cv)));
      }
    }
  }
}

// out = silu(gate)·up with gate and up side by side in one row.
void swiglu(const bf16* gate_up, index_t ldx, bf16* out, index_t ldo, index_t rows, index_t size) {
#pragma omp parallel for schedule(static)
  for (index_t r = 0; r < rows; r++)
    for (index_t i = 0; i < size; i += 16) {
      const __m512 g = load(gate_up + r * ldx + i), u = load(gate_up + r * ldx + size + i);
      store(out + r * ldo + i, _mm512_mul_ps(_mm512_mul_ps(g, sigmoid(g)), u));
    }
}

// d_gate = g·u·σ(gate)·(1 + gate·(1 - σ(gate))), d_up = g·silu(gate).
void swiglu_backward(const bf16* g, index_t ldg, const bf16* gate_up, index_t ldx, bf16* out, index_t ldo, index_t rows, index_t size) {
  const __m512 one = _mm512_set1_ps(1.0f);
#pragma omp parallel for schedule(static)
  for (index_t r = 0; r < rows; r++)
    for (index_t i = 0; i < size; i += 16) {
      const __m512 gate = load(gate_up + r * ldx + i), up = load(gate_up + r * ldx + size + i), d = load(g + r * ldg + i);
      const __m512 s = sigmoid(gate), silu = _mm512_mul_ps(gate, s);
      const __m512 slope = _mm512_fmadd_ps(silu, _mm512_sub_ps(one, s), s);
      store(out + r * ldo + i, _mm512_mul_ps(_mm512_mul_ps(d, up), slope));
      store(out + r * ldo + size + i, _mm512_mul_ps(d, silu));
    }
}

// out = x·mask/(1-p), or out += x·mask/(1-p) where accumulate is set.
void dropout(const bf16* x, index_t ldx, bf16* out, index_t ldo, const int64_t* keys, index_t rows, index_t size, uint32_t seed,
             uint32_t threshold, float scale, int accumulate) {
  const __m512 factor = _mm512_set1_ps(scale);
#pragma omp parallel for schedule(static)
  for (index_t r = 0; r < rows; r++) {
    const uint32_t hash = row_hash(seed, (uint32_t)keys[r]);
    for (index_t i = 0; i < size; i += 16) {
      __m512 v = _mm512_maskz_mul_ps(kept(hash, i, threshold), load(x + r * ldx + i), factor);
      if (accumulate) v = _mm512_add_ps(v, load(out + r * ldo + i));
      store(out + r * ldo + i, v);
    }
  }
}

// Replaces logits by softmax(logits) - onehot(target) and writes each row's loss.
void cross_entropy(bf16* logits, index_t ld, const int64_t* targets, float* losses, index_t rows, index_t size, int gradient) {
  const __m512 log2e = _mm512_set1_ps(LOG2E);
#pragma omp parallel for schedule(dynamic, 4)
  for (index_t r = 0; r < rows; r++) {
    bf16* row = logits + r * ld;
    const float target = to_float(row[targets[r]]);
    __m512 top = _mm512_set1_ps(-INFINITY);
    index_t i = 0;
    for (; i + 16 <= size; i += 16) top = _mm512_max_ps(top, load(row + i));
    float max = _mm512_reduce_max_ps(top);
    for (index_t j = i; j < size; j++) max = std::fmax(max, to_float(row[j]));
    const __m512 shift = _mm512_set1_ps(-max * LOG2E);
    __m512 sums[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    for (i = 0; i + 32 <= size; i += 32)
      for (int k = 0; k < 2; k++)
        sums[k] = _mm512_add_ps(sums[k], exp2(_mm512_fmadd_ps(load(row + i + 16 * k), log2e, shift)));
    float sum = _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]));
    for (index_t j = i; j < size; j++) sum += std::exp(to_float(row[j]) - max);
    const float lse = max + std::log(sum);
    losses[r] = lse - target;
    if (!gradient) continue;
    const __m512 norm = _mm512_set1_ps(-lse * LOG2E);
    for (i = 0; i + 16 <= size; i += 16) store(row + i, exp2(_mm512_fmadd_ps(load(row + i), log2e, norm)));
    for (index_t j = i; j < size; j++) row[j] = to_bf16(std::exp(to_float(row[j]) - lse));
    row[targets[r]] = to_bf16(std::exp(target - lse) - 1.0f);
  }
}
}
