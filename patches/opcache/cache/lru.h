// A doubly linked list through its members, most recently used first. Owns nothing, locks nothing,
// allocates and counts nothing; one list is used by one thread.
#ifndef OPCACHE_CACHE_LRU_H_
#define OPCACHE_CACHE_LRU_H_

namespace opcache {

template <class T>
struct Link {
  T *previous;
  T *next;
};

template <class T, Link<T> T::*link>
class List {
 public:
  List() : first_(nullptr), last_(nullptr) {}

  T *first() const { return first_; }
  T *last() const { return last_; }

  void push_front(T *t) {
    (t->*link).previous = nullptr;
    (t->*link).next = first_;
    (first_ != nullptr ? (first_->*link).previous : last_) = t;
    first_ = t;
  }

  void remove(T *t) {
    const Link<T> at = t->*link;
    (at.previous != nullptr ? (at.previous->*link).next : first_) = at.next;
    (at.next != nullptr ? (at.next->*link).previous : last_) = at.previous;
  }

  void touch(T *t) {
    if (t == first_) return;
    remove(t);
    push_front(t);
  }

 private:
  T *first_;
  T *last_;
};

}  // namespace opcache

#endif  // OPCACHE_CACHE_LRU_H_
