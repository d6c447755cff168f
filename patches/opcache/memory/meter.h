// Under a bound on memory (MKLDNN_OPCACHE_MEMORY), and only then, this folder changes something
// that is another library's: the words of MKL-DNN's global offset table through which that
// library calls the allocator (got.h) lead here, and from here to where they led. Without a bound
// nothing of another library is touched. The calls are counted: the size of an object is what
// MKL-DNN allocates, and does not free again, while the calling thread creates it.
#ifndef OPCACHE_MEMORY_METER_H_
#define OPCACHE_MEMORY_METER_H_

#include <stddef.h>
#include <stdint.h>

namespace opcache {

// What malloc takes for a block of so many bytes: glibc's header and rounding.
inline size_t heap_bytes(size_t n) {
  const size_t chunk = (n + sizeof(size_t) + 15) & ~static_cast<size_t>(15);
  return chunk < 32 ? 32 : chunk;
}

// What is assumed of a descriptor that could not be measured: more than most take.
const size_t kEstimatedDescriptorBytes = 16 << 10;

// The blocks that one thread allocated during one creation. Used by that thread alone.
class Ledger {
 public:
  Ledger() : entries_(nullptr), mask_(0), used_(0), complete_(true) {}
  ~Ledger();
  Ledger(const Ledger &) = delete;
  void operator=(const Ledger &) = delete;

  void clear();
  // `mapped`: pages, of which those count in the end that are in memory.
  void add(void *block, size_t bytes, bool mapped);
  void remove(void *block);  // does nothing for a block of before
  bool complete() const { return complete_; }
  size_t bytes() const;

 private:
  struct Entry {
    void *block;
    size_t bytes;
    bool mapped;
  };
  size_t slot_of(const void *block) const;
  bool grow();

  Entry *entries_;
  size_t mask_;
  size_t used_;
  bool complete_;  // memory for the ledger itself was never short
};

// Measures from its construction to its end what the calling thread has MKL-DNN allocate, when a
// bound on memory is in force.
class Metering {
 public:
  explicit Metering(Ledger *ledger);
  ~Metering();
  Metering(const Metering &) = delete;
  void operator=(const Metering &) = delete;
  // So far; `estimate` when it could not be measured.
  size_t bytes(size_t estimate) const;

 private:
  Ledger *ledger_;
};

// Whether libmkldnn is being measured; false before the first creation under a bound.
bool metered();

}  // namespace opcache

#endif  // OPCACHE_MEMORY_METER_H_
