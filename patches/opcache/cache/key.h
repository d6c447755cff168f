// Identity by value of what a primitive descriptor is created from. An interface names every field
// of a description once, to a visitor (api0/fields.h): Key packs the fields (hash and equality),
// Printer writes them for people.
#ifndef OPCACHE_CACHE_KEY_H_
#define OPCACHE_CACHE_KEY_H_

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace opcache {

// What both visitors remember: once a field is unknown, so is the description.
class Description {
 public:
  Description() : known_(true) {}
  // Something is not known to us (a kind, format or attribute): do not cache.
  void unknown() { known_ = false; }
  bool known() const { return known_; }

 private:
  bool known_;
};

// The packed fields of one description. Lives on the stack or in a thread's cache; not shared.
class Key : public Description {
 public:
  static const uint32_t kCapacity = 2048;  // words; a concat of 40 four-dimensional inputs fits

  Key() : size_(0), complete_(true) {}
  void clear() {
    Description::operator=(Description());
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
  // Planted (tests/faults/): every field whose section.name begins so is left out. The section is
  // no member, as only the files that visit fields are compiled with this fault.
  static const char *&current_section() {
    static __thread const char *current = "";
    return current;
  }
  static void enter(const char *name) { current_section() = name; }
  static bool dropped(const char *name) {
    char field[128];
    snprintf(field, sizeof(field), "%s.%s", current_section(), name);
    return strncmp(field, OPCACHE_FAULT_DROP, strlen(OPCACHE_FAULT_DROP)) == 0;
  }
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
class Printer : public Description {
 public:
  Printer() : out_(nullptr), length_(0), room_(0), complete_(true) {}
  ~Printer() { free(out_); }
  Printer(const Printer &) = delete;
  Printer &operator=(const Printer &) = delete;
  // nullptr when memory was short.
  const char *c_str() const { return !complete_ ? nullptr : length_ > 0 ? out_ : ""; }

  void section(const char *name);
  void value(const char *name, uint64_t v);
  void number(const char *name, int v);
  void real(const char *name, float v);
  void numbers(const char *name, const int *v, int n);
  void strides(const char *name, const ptrdiff_t *v, int n);
  void text(const char *name, const char *v);

 private:
  void add(const char *format, ...) __attribute__((format(printf, 2, 3)));

  char *out_;
  size_t length_;
  size_t room_;
  bool complete_;
};

}  // namespace opcache

#endif  // OPCACHE_CACHE_KEY_H_
