// Identity by value of what a primitive descriptor is made from. One visitor per kind (key.cc)
// names every field once; Key packs them (hash and equality), Printer writes them for people.
// Never struct bytes: mkldnn_memory_desc_init fills an uninitialised local, so bytes beyond ndims
// and in the unused part of the layout union are garbage.
#ifndef OPCACHE_API0_KEY_H_
#define OPCACHE_API0_KEY_H_

#include <mkldnn_types.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <string>

#include "api0/abi.h"
#include "api0/real.h"

namespace opcache {

// The packed fields of one description. Lives on the stack or in a thread's cache; not shared.
class Key {
 public:
  static const uint32_t kCapacity = 2048;  // words; a concat of 40 four-dimensional inputs fits

  Key() : size_(0), complete_(true) {}
  void clear() {
    size_ = 0;
    complete_ = true;
  }
  void assign(const uint32_t *words, uint32_t size) {
    clear();
    append(words, size);
  }
  // False when a field did not fit: such a key must not be used.
  bool complete() const { return complete_; }
  const uint32_t *words() const { return words_; }
  uint32_t size() const { return size_; }
  uint64_t hash() const;
  bool equals(const uint32_t *words, uint32_t size) const {
    return size == size_ && memcmp(words, words_, size * sizeof(uint32_t)) == 0;
  }

  // The visitor interface.
  void section(const char *name) { enter(name); }
  void value(const char *name, uint64_t v) {
    if (dropped(name)) return;
    const uint32_t pair[2] = {static_cast<uint32_t>(v), static_cast<uint32_t>(v >> 32)};
    append(pair, 2);
  }
  void number(const char *name, int v) { numbers(name, &v, 1); }
  void real(const char *name, float v) {
    if (!dropped(name)) append(&v, 1);
  }
  void numbers(const char *name, const int *v, int n) {
    if (!dropped(name)) append(v, n);
  }
  void strides(const char *name, const ptrdiff_t *v, int n) {
    if (!dropped(name)) append(v, 2 * n);
  }
  void text(const char *, const char *v) {
    // Length first, so that two texts in a row cannot be cut differently.
    const uint32_t length = static_cast<uint32_t>(strlen(v));
    append(&length, 1);
    for (uint32_t i = 0; i < length; i += 4) {
      uint32_t word = 0;
      memcpy(&word, v + i, length - i < 4 ? length - i : 4);
      append(&word, 1);
    }
  }

 private:
#ifdef OPCACHE_FAULT_DROP
  // Planted: every field whose section.name begins so is left out.
  void enter(const char *section) { section_ = section; }
  bool dropped(const char *name) const {
    const std::string field = std::string(section_) + "." + name;
    return field.compare(0, strlen(OPCACHE_FAULT_DROP), OPCACHE_FAULT_DROP) == 0;
  }
  const char *section_ = "";
#else
  void enter(const char *) {}
  static bool dropped(const char *) { return false; }
#endif

  void append(const void *from, uint32_t count) {
    if (count > kCapacity - size_) {
      complete_ = false;
      return;
    }
    memcpy(words_ + size_, from, count * sizeof(uint32_t));
    size_ += count;
  }

  uint32_t size_;
  bool complete_;
  uint32_t words_[kCapacity];
};

// Same visitor interface; for messages and tests.
class Printer {
 public:
  const std::string &str() const { return out_; }

  void section(const char *name);
  void value(const char *name, uint64_t v);
  void number(const char *name, int v);
  void real(const char *name, float v);
  void numbers(const char *name, const int *v, int n);
  void strides(const char *name, const ptrdiff_t *v, int n);
  void text(const char *name, const char *v);

 private:
  std::string out_;
};

// What stands around every description: the engine and the OpenMP team that kernels are sized for
// (batch normalisation sizes its buffers by it).
struct Surroundings {
  mkldnn_engine_t engine;
  int max_threads;
};

typedef uint64_t (*SerialOf)(const_mkldnn_primitive_desc_t);

// Each returns false when something is not known to us (kind, format, attribute): do not cache.
// `hint_serial` identifies a hint that is itself canonical, which is identity by content; a hint
// from elsewhere is visited field by field. `implementation` counts iterator steps from 0.
// `serials` finds the serial of a canonical memory descriptor, 0 for any other; it may be nullptr.
template <class V>
bool visit_operation(V &v, const Real &real, const Surroundings &around, const void *op_desc,
                     const_mkldnn_primitive_attr_t attr, const_mkldnn_primitive_desc_t hint,
                     uint64_t hint_serial, int implementation);
template <class V>
bool visit_memory_object(V &v, const Real &real, mkldnn_engine_t engine,
                         const mkldnn_memory_desc_t &desc);
template <class V>
bool visit_reorder(V &v, const Real &real, const Surroundings &around,
                   const_mkldnn_primitive_desc_t input, const_mkldnn_primitive_desc_t output,
                   const_mkldnn_primitive_attr_t attr, SerialOf serials);
template <class V>
bool visit_sum(V &v, const Real &real, const Surroundings &around,
               const mkldnn_memory_desc_t *output, int n, const float *scales,
               const const_mkldnn_primitive_desc_t *inputs, SerialOf serials);
template <class V>
bool visit_concat(V &v, const Real &real, const Surroundings &around,
                  const mkldnn_memory_desc_t *output, int n, int concat_dimension,
                  const const_mkldnn_primitive_desc_t *inputs, SerialOf serials);

}  // namespace opcache

#endif  // OPCACHE_API0_KEY_H_
