#include "cache/key.h"

#include <stdarg.h>

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

void Printer::add(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int added = vsnprintf(nullptr, 0, format, arguments);
  va_end(arguments);
  const size_t wanted = length_ + static_cast<size_t>(added) + 1;
  if (complete_ && wanted > room_) {
    char *const larger = static_cast<char *>(realloc(out_, 2 * wanted));
    complete_ = larger != nullptr;
    if (complete_) {
      out_ = larger;
      room_ = 2 * wanted;
    }
  }
  if (!complete_) return;
  va_start(arguments, format);
  vsnprintf(out_ + length_, room_ - length_, format, arguments);
  va_end(arguments);
  length_ = wanted - 1;
}

void Printer::section(const char *name) { add("%s%s:", length_ > 0 ? " " : "", name); }

void Printer::value(const char *name, uint64_t v) {
  add(" %s=%llu", name, static_cast<unsigned long long>(v));
}

void Printer::number(const char *name, int v) { numbers(name, &v, 1); }

void Printer::real(const char *name, float v) { add(" %s=%a", name, static_cast<double>(v)); }

void Printer::numbers(const char *name, const int *v, int n) {
  add(" %s=", name);
  for (int i = 0; i < n; ++i) add("%s%d", i > 0 ? "x" : "", v[i]);
}

void Printer::strides(const char *name, const ptrdiff_t *v, int n) {
  add(" %s=", name);
  for (int i = 0; i < n; ++i) add("%s%td", i > 0 ? "," : "", v[i]);
}

void Printer::text(const char *name, const char *v) { add(" %s=%s", name, v); }

}  // namespace opcache
