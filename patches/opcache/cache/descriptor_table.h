// A hash table of records by the hash that each carries; open addressing, no tombstones. Pure: it
// owns no record, locks nothing and counts nothing; one table is used by one thread.
#ifndef OPCACHE_CACHE_DESCRIPTOR_TABLE_H_
#define OPCACHE_CACHE_DESCRIPTOR_TABLE_H_

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

namespace opcache {

template <class T>
class DescriptorTable {
 public:
  DescriptorTable() : slots_(nullptr), mask_(0) {}
  ~DescriptorTable() { free(slots_); }
  DescriptorTable(const DescriptorTable &) = delete;
  DescriptorTable &operator=(const DescriptorTable &) = delete;

  // The record of that hash that is `same`; nullptr when there is none.
  template <class Same>
  T *find(uint64_t hash, const Same &same) const {
    if (slots_ == nullptr) return nullptr;
    for (size_t i = hash & mask_; slots_[i].record != nullptr; i = (i + 1) & mask_) {
      if (slots_[i].hash == hash && same(slots_[i].record)) return slots_[i].record;
    }
    return nullptr;
  }

  // Makes room for so many records in all; false: memory is short, and nothing has changed.
  bool reserve(size_t records) {
    size_t room = slots_ == nullptr ? 0 : mask_ + 1;
    if (records * 2 <= room) return true;
    room = room == 0 ? 256 : 2 * room;
    Slot *const slots = static_cast<Slot *>(calloc(room, sizeof(Slot)));
    if (slots == nullptr) return false;
    for (size_t i = 0; slots_ != nullptr && i <= mask_; ++i) {
      if (slots_[i].record != nullptr) put(slots, room - 1, slots_[i]);
    }
    free(slots_);
    slots_ = slots;
    mask_ = room - 1;
    return true;
  }

  // To be called after reserve().
  void insert(T *record) {
    const Slot slot = {record->hash, record};
    put(slots_, mask_, slot);
  }

  // The record must be in the table.
  void erase(const T *record) {
    size_t hole = record->hash & mask_;
    while (slots_[hole].record != record) hole = (hole + 1) & mask_;
    for (size_t i = (hole + 1) & mask_; slots_[i].record != nullptr; i = (i + 1) & mask_) {
      if (((i - slots_[i].hash) & mask_) >= ((i - hole) & mask_)) {
        slots_[hole] = slots_[i];
        hole = i;
      }
    }
    slots_[hole].record = nullptr;
  }

 private:
  struct Slot {
    uint64_t hash;
    T *record;
  };

  static void put(Slot *slots, size_t mask, const Slot &slot) {
    size_t i = slot.hash & mask;
    while (slots[i].record != nullptr) i = (i + 1) & mask;
    slots[i] = slot;
  }

  Slot *slots_;
  size_t mask_;
};

}  // namespace opcache

#endif  // OPCACHE_CACHE_DESCRIPTOR_TABLE_H_
