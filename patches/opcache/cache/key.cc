#include "cache/key.h"

#include <stdio.h>

namespace opcache {

namespace {

// 64 x 64 -> 128 bit multiply and fold, the mixing step of wyhash.
inline uint64_t mix(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

uint64_t Key::hash() const {
  const uint64_t k0 = 0xa0761d6478bd642full, k1 = 0xe7037ed1a0b428dbull;
  uint64_t a = k0 ^ size_, b = k1 + size_;
  uint32_t i = 0;
  for (; i + 8 <= size_; i += 8) {
    uint64_t w[4];
    memcpy(w, words_ + i, sizeof(w));
    a = mix(w[0] ^ k0, w[1] ^ a);
    b = mix(w[2] ^ k1, w[3] ^ b);
  }
  for (; i < size_; ++i) a = mix(words_[i] ^ k1, a ^ k0);
  return mix(a ^ k0, b ^ k1);
}

void Printer::section(const char *name) {
  if (!out_.empty()) out_ += ' ';
  out_ += name;
  out_ += ':';
}

void Printer::value(const char *name, uint64_t v) {
  char text[64];
  snprintf(text, sizeof(text), " %s=%llu", name, static_cast<unsigned long long>(v));
  out_ += text;
}

void Printer::number(const char *name, int v) { numbers(name, &v, 1); }

void Printer::real(const char *name, float v) {
  char text[64];
  snprintf(text, sizeof(text), " %s=%a", name, static_cast<double>(v));
  out_ += text;
}

void Printer::numbers(const char *name, const int *v, int n) {
  out_ += std::string(" ") + name + "=";
  for (int i = 0; i < n; ++i) out_ += (i > 0 ? "x" : "") + std::to_string(v[i]);
}

void Printer::strides(const char *name, const ptrdiff_t *v, int n) {
  out_ += std::string(" ") + name + "=";
  for (int i = 0; i < n; ++i) out_ += (i > 0 ? "," : "") + std::to_string(v[i]);
}

void Printer::text(const char *name, const char *v) { out_ += std::string(" ") + name + "=" + v; }

}  // namespace opcache
